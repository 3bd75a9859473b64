-- Version 2 of what a fleet's collector holds. `terminal fleet prepare` runs it; every statement may run again.
-- Terminal numbers and sequences are 32 bits without sign, hence bigint.

CREATE TABLE IF NOT EXISTS fleet_schema (version int PRIMARY KEY);
INSERT INTO fleet_schema VALUES (2) ON CONFLICT DO NOTHING;

-- Never overwritten, never deleted. The key is the guard against storing a row twice.
CREATE TABLE IF NOT EXISTS record (
    terminal bigint NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    body bytea NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (terminal, sequence)
);

-- The batch rows came with, without its rows: with their hashes it shows the terminal's signature over them.
CREATE TABLE IF NOT EXISTS receipt (
    terminal bigint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    sent_at_ms bigint NOT NULL,
    received_at_ms bigint NOT NULL,
    envelope bytea NOT NULL,
    PRIMARY KEY (terminal, first)
);

-- What rows of bank cards sealed to the back office; the row has its hash. A copy of a batch may bring it later.
CREATE TABLE IF NOT EXISTS sealed_row (
    terminal bigint NOT NULL,
    sequence bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (terminal, sequence)
);

-- `rows` of the rows up to `sequence` are held, the last under `hash`; a restored terminal passed numbers over.
-- `stated_head` is the newest row as the terminal says.
CREATE TABLE IF NOT EXISTS terminal (
    terminal bigint PRIMARY KEY,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    stated_head bigint NOT NULL,
    sent_at_ms bigint NOT NULL,
    received_at_ms bigint NOT NULL,
    rows bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS alarm (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    terminal bigint NOT NULL,
    sequence bigint NOT NULL,
    detail text NOT NULL,
    times bigint NOT NULL,
    first_at_ms bigint NOT NULL,
    last_at_ms bigint NOT NULL,
    acknowledged_at_ms bigint,
    acknowledged_by text NOT NULL DEFAULT '',
    comment text NOT NULL DEFAULT '',
    UNIQUE (kind, terminal, sequence, detail)
);

-- What was tried without a good signature: a bounded number of lines, each with how often.
CREATE TABLE IF NOT EXISTS stranger (
    kind text NOT NULL,
    address text NOT NULL,
    terminal bigint NOT NULL,
    detail text NOT NULL,
    times bigint NOT NULL,
    first_at_ms bigint NOT NULL,
    last_at_ms bigint NOT NULL,
    PRIMARY KEY (kind, address, terminal, detail)
);

-- Messages that contradict what is held, or that nobody can read, whole: evidence, and nothing acknowledged is lost.
CREATE TABLE IF NOT EXISTS refused_message (
    stream text NOT NULL,
    message bigint NOT NULL,
    reason text NOT NULL,
    data bytea NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (stream, message, at_ms)
);

-- Keys of terminals (7.json) and one-time codes (7.code), as an embedded collector keeps them in files. `change` is the
-- order in which they changed; no content: the file was removed. Gateways follow it.
CREATE TABLE IF NOT EXISTS enrolment_file (
    name text PRIMARY KEY,
    content bytea,
    change bigint NOT NULL UNIQUE
);

-- What must be the same at every gateway: SHA-256 of the collector's public key and of the authority's certificate.
CREATE TABLE IF NOT EXISTS fleet_identity (name text PRIMARY KEY, sha256 text NOT NULL);

-- What was done about terminals: enrolled, replaced keys, renewed, revoked.
CREATE TABLE IF NOT EXISTS operation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms bigint NOT NULL,
    terminal bigint NOT NULL,
    what text NOT NULL,
    key text NOT NULL,
    by text NOT NULL
);
