"""The worker on Celery: slides become a PDF."""
import json
import threading
import time

from celery import Celery
from celery.signals import worker_ready

from .store import FOLDER, URL, job, on_trial, queue_name

app = Celery(broker=URL)
app.conf.worker_prefetch_multiplier = 1    # what waits stays in the queue, for any release


def page_of(slide):
    """What is drawn, in PDF's words: the title large, a line each below it."""
    texts = [(28, slide["title"])] + [(16, line) for line in slide["lines"]]
    out = ["BT 60 460 Td"]
    for size, text in texts:
        text = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        out.append(f"/F {size} Tf ({text}) Tj 0 -{size + 16} Td")
    return "\n".join(out + ["ET"]).encode("latin-1", "replace")


def pdf_of(slides):
    first = 4    # objects before the pages; each page is two
    pages = " ".join(f"{first + 2 * i} 0 R" for i in range(len(slides)))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>",
               f"<< /Type /Pages /Kids [{pages}] /Count {len(slides)} >>".encode(),
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for i, slide in enumerate(slides):
        drawn = page_of(slide)
        objects += [f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 960 540] "
                    f"/Resources << /Font << /F 3 0 R >> >> "
                    f"/Contents {first + 2 * i + 1} 0 R >>".encode(),
                    b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn)]
    out, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\n" \
        b"startxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table, len(objects) + 1, len(out))


@app.task(name="export", ignore_result=True)
def export(deck):
    with job(deck, "export", "exporting", "exported"):
        slides = json.loads((FOLDER / f"{deck}.json").read_text())
        (FOLDER / f"{deck}.pdf").write_bytes(pdf_of(slides))


def take_all(worker):
    """After the trial."""
    while on_trial():
        time.sleep(0.5)
    while not app.control.add_consumer(queue_name("export"), destination=[worker], reply=True):
        pass


def work():
    names = [queue_name("export", own=True)]
    if on_trial():
        worker_ready.connect(
            lambda sender, **_: threading.Thread(target=take_all, args=[sender.hostname],
                                                 daemon=True).start(), weak=False)
    else:
        names.append(queue_name("export"))
    app.worker_main(["worker", "--concurrency=2", "--loglevel=WARNING", "-Q", ",".join(names)])


if __name__ == "__main__":
    # As the module that the gateway imports, not as __main__.
    from slidecraft import export as module
    module.work()
