"""Who is signed in, and who changed what."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables; that of the audit refuses whatever is no new row."""
    op.execute("""
        CREATE TABLE loopcast.sessions (
            secret_sha256 bytea PRIMARY KEY,
            id uuid NOT NULL,
            asker_id text NOT NULL,
            asker_name text NOT NULL,
            role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
            problems text[] NOT NULL,
            created_at_utc timestamptz NOT NULL,
            seen_at_utc timestamptz NOT NULL,
            expires_at_utc timestamptz NOT NULL
        );
        CREATE TABLE loopcast.used_sign_ins (
            nonce_sha256 bytea PRIMARY KEY,
            used_at_utc timestamptz NOT NULL
        );

        CREATE TABLE loopcast.audit (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            id uuid NOT NULL UNIQUE,
            at_utc timestamptz NOT NULL,
            actor_id text NOT NULL,
            actor_name text NOT NULL,
            role text,
            act text NOT NULL,
            subject text NOT NULL,
            problem text,
            request_id text,
            details json NOT NULL
        );
        CREATE FUNCTION loopcast.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'rows of %.% are only added', TG_TABLE_SCHEMA, TG_TABLE_NAME;
            END
        $$;
        CREATE TRIGGER only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON loopcast.audit
            FOR EACH STATEMENT EXECUTE FUNCTION loopcast.refuse_change();
    """)
