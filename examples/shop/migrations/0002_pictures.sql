ALTER TABLE product ADD COLUMN picture text NOT NULL DEFAULT '📦';
