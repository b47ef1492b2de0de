-- What the team's development database holds: every preview starts from a clone of it.
CREATE TABLE migration (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
\ir ../migrations/0001_products.sql
\ir ../migrations/0002_pictures.sql
INSERT INTO migration (name) VALUES ('0001_products.sql'), ('0002_pictures.sql');

INSERT INTO product (name, description, picture, price_cents) VALUES
    ('Brass compass', 'Points north, also in fog.', '🧭', 4900),
    ('Manila rope, 20 m', 'Three strands, smells of harbour.', '🪢', 2350),
    ('Storm lantern', 'Burns eight hours in any wind.', '🏮', 3800),
    ('Folding anchor', 'Four kilograms, holds a dinghy.', '⚓', 5600),
    ('Signal flags', 'All twenty-six, in a canvas roll.', '🚩', 7200);
