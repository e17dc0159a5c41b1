CREATE TABLE audits (id bigserial PRIMARY KEY, order_id bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION audit_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audits (order_id) VALUES (NEW.id);
    RETURN NEW;
END $$;
CREATE TRIGGER audit_order AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION audit_order();
ALTER TABLE orders ADD COLUMN source text NOT NULL DEFAULT 'shop';
