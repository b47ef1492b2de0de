// Values in, HTML out. Every value is escaped: product names come from people.
const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const html = (strings, ...values) =>
  strings.reduce((text, part, i) => text + (values[i - 1]?.safe ?? escape(values[i - 1])) + part);
const escape = (value) => String(value ?? '').replace(/[&<>"']/g, (char) => entities[char]);
const safe = (text) => ({ safe: text });

const card = (product) => html`
        <li class="card">
          <span class="picture" aria-hidden="true">${product.picture}</span>
          <h2>${product.name}</h2>
          <p>${product.description}</p>
          <p class="price">${(product.price_cents / 100).toFixed(2)} €</p>
        </li>`;

export function page(greeting, products, preview) {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Shop · ${preview.issue}</title>
    <link rel="stylesheet" href="/style.css">
  </head>
  <body>
    <header>
      <p class="brand">The Chandlery</p>
      <h1>${greeting}</h1>
      <p class="count">${products.length} things in stock</p>
    </header>
    <main>
      <ul class="cards">${safe(products.map(card).join(''))}
      </ul>
    </main>
    <footer>
      <dl>
        <div><dt>Issue</dt><dd>${preview.issue}</dd></div>
        <div><dt>Branch</dt><dd>${preview.branch}</dd></div>
        <div><dt>Commit</dt><dd><code>${preview.commit}</code></dd></div>
      </dl>
    </footer>
  </body>
</html>
`;
}
