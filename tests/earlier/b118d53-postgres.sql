-- topics
PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE records (topic, partition, place, key, body, headers);
INSERT INTO "records" VALUES('orders',1,0,X'31',X'7B226F726465725F6964223A226561726C792F31222C22637573746F6D65725F6964223A2231222C226F7264657265645F6174223A22313939372D30332D33305430313A30303A30305A222C22616D6F756E74223A7B2263656E7473223A31303030302C2263757272656E6379223A22555344227D2C226974656D73223A312C2262696C6C696E675F61646472657373223A2231204F7264657220537472656574227D','[["ce_specversion", "1.0"], ["ce_id", "8dc91f3c-5038-507e-996a-f370b272f293"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/1"], ["ce_correlationid", "early/1"], ["content-type", "application/json"]]');
INSERT INTO "records" VALUES('orders',1,1,X'31',X'7B226F726465725F6964223A226561726C792F32222C22637573746F6D65725F6964223A2231222C226F7264657265645F6174223A22313939372D30332D33305430323A30303A30305A222C22616D6F756E74223A7B2263656E7473223A32303130302C2263757272656E6379223A22555344227D2C226974656D73223A322C2262696C6C696E675F61646472657373223A2231204F7264657220537472656574227D','[["ce_specversion", "1.0"], ["ce_id", "eea1a5d7-52a5-5671-a2ab-ee74d4bc8b7d"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/2"], ["ce_correlationid", "early/2"], ["content-type", "application/json"]]');
INSERT INTO "records" VALUES('orders',1,2,X'3937',X'7B226F726465725F6964223A226561726C792F33222C22637573746F6D65725F6964223A223937222C226F7264657265645F6174223A22313939372D30332D33305430333A30303A30305A222C22616D6F756E74223A7B2263656E7473223A3530302C2263757272656E6379223A22555344227D2C226974656D73223A332C2262696C6C696E675F61646472657373223A223937204F7264657220537472656574227D','[["ce_specversion", "1.0"], ["ce_id", "4250d242-142e-515b-9b08-98b5a86b77c6"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/3"], ["ce_correlationid", "early/3"], ["content-type", "application/json"]]');
INSERT INTO "records" VALUES('orders',1,3,X'31',X'7B','[["ce_specversion", "1.0"], ["ce_id", "8dc91f3c-5038-507e-996a-f370b272f293"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/1"], ["ce_correlationid", "early/1"], ["content-type", "application/json"]]');
INSERT INTO "records" VALUES('orders',1,4,X'31',X'7B226F726465725F6964223A226561726C792F31222C22637573746F6D65725F6964223A2231222C226F7264657265645F6174223A22313939372D30332D33305430313A30303A30305A222C22616D6F756E74223A7B2263656E7473223A31303030302C2263757272656E6379223A22555344227D2C226974656D73223A312C2262696C6C696E675F61646472657373223A2231204F7264657220537472656574227D','[["ce_specversion", "1.0"], ["ce_id", "8dc91f3c-5038-507e-996a-f370b272f293"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/1"], ["ce_correlationid", "early/1"], ["content-type", "application/json"]]');
INSERT INTO "records" VALUES('orders',2,0,X'32',X'7B226F726465725F6964223A226561726C792F34222C22637573746F6D65725F6964223A2232222C226F7264657265645F6174223A22313939372D30332D33305430343A30303A30305A222C22616D6F756E74223A7B2263656E7473223A313137372C2263757272656E6379223A22555344227D2C226974656D73223A342C2262696C6C696E675F61646472657373223A2232204F7264657220537472656574227D','[["ce_specversion", "1.0"], ["ce_id", "c6b837c3-943c-55ef-b4cc-a16719882601"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/4"], ["ce_correlationid", "early/4"], ["content-type", "application/json"]]');
INSERT INTO "records" VALUES('authorizations',1,0,X'31',X'7B226F726465725F6964223A226561726C792F31222C22637573746F6D65725F6964223A2231222C226F7264657265645F6174223A22313939372D30332D33305430313A30303A30305A222C22616D6F756E74223A7B2263656E7473223A31303030302C2263757272656E6379223A22555344227D2C226974656D73223A317D','[["ce_specversion", "1.0"], ["ce_id", "6da08fdc-7236-5dcc-9bee-1eca154a8de2"], ["ce_type", "shop.AuthorizationAccepted.v1"], ["ce_source", "/shop/payment"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/1"], ["ce_correlationid", "early/1"], ["content-type", "application/json"], ["ce_causationid", "8dc91f3c-5038-507e-996a-f370b272f293"]]');
INSERT INTO "records" VALUES('authorizations',1,1,X'31',X'7B226F726465725F6964223A226561726C792F32222C22637573746F6D65725F6964223A2231222C226F7264657265645F6174223A22313939372D30332D33305430323A30303A30305A222C22616D6F756E74223A7B2263656E7473223A32303130302C2263757272656E6379223A22555344227D2C226974656D73223A322C22726561736F6E223A226E6F5F66756E6473227D','[["ce_specversion", "1.0"], ["ce_id", "5d413fa2-3797-5526-8170-0bc1f86db76b"], ["ce_type", "shop.AuthorizationDeclined.v1"], ["ce_source", "/shop/payment"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/2"], ["ce_correlationid", "early/2"], ["content-type", "application/json"], ["ce_causationid", "eea1a5d7-52a5-5671-a2ab-ee74d4bc8b7d"]]');
INSERT INTO "records" VALUES('authorizations',1,2,X'3937',X'7B226F726465725F6964223A226561726C792F33222C22637573746F6D65725F6964223A223937222C226F7264657265645F6174223A22313939372D30332D33305430333A30303A30305A222C22616D6F756E74223A7B2263656E7473223A3530302C2263757272656E6379223A22555344227D2C226974656D73223A332C22726561736F6E223A226163636F756E745F636C6F736564227D','[["ce_specversion", "1.0"], ["ce_id", "963ccd8a-60c8-5f5c-8a1b-75d8ba90533e"], ["ce_type", "shop.AuthorizationDeclined.v1"], ["ce_source", "/shop/payment"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/3"], ["ce_correlationid", "early/3"], ["content-type", "application/json"], ["ce_causationid", "4250d242-142e-515b-9b08-98b5a86b77c6"]]');
INSERT INTO "records" VALUES('authorizations',2,0,X'32',X'7B226F726465725F6964223A226561726C792F34222C22637573746F6D65725F6964223A2232222C226F7264657265645F6174223A22313939372D30332D33305430343A30303A30305A222C22616D6F756E74223A7B2263656E7473223A313137372C2263757272656E6379223A22555344227D2C226974656D73223A347D','[["ce_specversion", "1.0"], ["ce_id", "1f7e4985-bb46-5dd2-8cc0-e901e3ecd5dd"], ["ce_type", "shop.AuthorizationAccepted.v1"], ["ce_source", "/shop/payment"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/4"], ["ce_correlationid", "early/4"], ["content-type", "application/json"], ["ce_causationid", "c6b837c3-943c-55ef-b4cc-a16719882601"]]');
INSERT INTO "records" VALUES('orders.dead-letter',1,0,X'31',X'7B','[["ce_specversion", "1.0"], ["ce_id", "8dc91f3c-5038-507e-996a-f370b272f293"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/1"], ["ce_correlationid", "early/1"], ["content-type", "application/json"], ["dead_letter_reason", "MalformedRecord: shop.NewOrder.v1: Input data was truncated"], ["dead_letter_service", "payment"], ["dead_letter_topic", "orders"], ["dead_letter_partition", "1"], ["dead_letter_offset", "3"], ["dead_letter_time", "1997-04-02T12:00:00Z"], ["dead_letter_tries", "1"]]');
INSERT INTO "records" VALUES('orders.dead-letter',1,1,X'31',X'7B','[["ce_specversion", "1.0"], ["ce_id", "8dc91f3c-5038-507e-996a-f370b272f293"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/1"], ["ce_correlationid", "early/1"], ["content-type", "application/json"], ["dead_letter_reason", "MalformedRecord: shop.NewOrder.v1: Input data was truncated"], ["dead_letter_service", "recorder"], ["dead_letter_topic", "orders"], ["dead_letter_partition", "1"], ["dead_letter_offset", "3"], ["dead_letter_time", "1997-04-02T12:00:00Z"], ["dead_letter_tries", "1"]]');
INSERT INTO "records" VALUES('warehouse.requests',1,0,X'31',X'7B226F726465725F6964223A226561726C792F31222C22637573746F6D65725F6964223A2231222C226F7264657265645F6174223A22313939372D30332D33305430313A30303A30305A222C22616D6F756E74223A7B2263656E7473223A31303030302C2263757272656E6379223A22555344227D2C226974656D73223A317D','[["ce_specversion", "1.0"], ["ce_id", "b734aad7-43c6-58d7-a2c8-2ccc4440cc08"], ["ce_type", "shop.ShipOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/1"], ["ce_correlationid", "early/1"], ["content-type", "application/json"], ["ce_causationid", "6da08fdc-7236-5dcc-9bee-1eca154a8de2"]]');
INSERT INTO "records" VALUES('warehouse.requests',2,0,X'32',X'7B226F726465725F6964223A226561726C792F34222C22637573746F6D65725F6964223A2232222C226F7264657265645F6174223A22313939372D30332D33305430343A30303A30305A222C22616D6F756E74223A7B2263656E7473223A313137372C2263757272656E6379223A22555344227D2C226974656D73223A347D','[["ce_specversion", "1.0"], ["ce_id", "751e67ae-d70c-50ef-b6e4-f4d1a2ea889e"], ["ce_type", "shop.ShipOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/4"], ["ce_correlationid", "early/4"], ["content-type", "application/json"], ["ce_causationid", "1f7e4985-bb46-5dd2-8cc0-e901e3ecd5dd"]]');
INSERT INTO "records" VALUES('orders',0,0,X'33',X'7B226F726465725F6964223A226561726C792F36222C22637573746F6D65725F6964223A2233222C226F7264657265645F6174223A22313939372D30332D33305430363A30303A30305A222C22616D6F756E74223A7B2263656E7473223A343039362C2263757272656E6379223A22555344227D2C226974656D73223A362C2262696C6C696E675F61646472657373223A2233204F7264657220537472656574227D','[["ce_specversion", "1.0"], ["ce_id", "6501c456-14d5-5427-b503-32db39d98ff2"], ["ce_type", "shop.NewOrder.v1"], ["ce_source", "/shop/order"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/6"], ["ce_correlationid", "early/6"], ["content-type", "application/json"]]');
INSERT INTO "records" VALUES('authorizations',0,0,X'33',X'7B226F726465725F6964223A226561726C792F36222C22637573746F6D65725F6964223A2233222C226F7264657265645F6174223A22313939372D30332D33305430363A30303A30305A222C22616D6F756E74223A7B2263656E7473223A343039362C2263757272656E6379223A22555344227D2C226974656D73223A367D','[["ce_specversion", "1.0"], ["ce_id", "cd2bb160-8376-5a84-9aab-41acaf3a1b2e"], ["ce_type", "shop.AuthorizationAccepted.v1"], ["ce_source", "/shop/payment"], ["ce_time", "1997-04-02T12:00:00Z"], ["ce_subject", "early/6"], ["ce_correlationid", "early/6"], ["content-type", "application/json"], ["ce_causationid", "6501c456-14d5-5427-b503-32db39d98ff2"]]');
COMMIT;
-- postgres
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA dead_letters;
CREATE SCHEMA event_log;
CREATE SCHEMA "order";
CREATE SCHEMA payment;
CREATE SCHEMA proofs;
CREATE SCHEMA report;
CREATE SCHEMA warehouse;
CREATE FUNCTION dead_letters.letter_actions_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'dead letters are kept for good' USING ERRCODE = 'integrity_constraint_violation'; END $$;
CREATE FUNCTION dead_letters.letters_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'dead letters are kept for good' USING ERRCODE = 'integrity_constraint_violation'; END $$;
CREATE FUNCTION event_log.event_log_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the event log is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$;
CREATE FUNCTION proofs.proofs_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'results of proofs are kept for good' USING ERRCODE = 'integrity_constraint_violation'; END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE dead_letters.cluster (
    id character varying NOT NULL
);
CREATE TABLE dead_letters.letter_actions (
    id bigint NOT NULL,
    topic character varying NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    action character varying NOT NULL,
    at character varying(27) NOT NULL,
    note character varying NOT NULL,
    key bytea,
    headers bytea,
    body bytea
);
CREATE SEQUENCE dead_letters.letter_actions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE dead_letters.letter_actions_id_seq OWNED BY dead_letters.letter_actions.id;
CREATE TABLE dead_letters.letters (
    id bigint NOT NULL,
    topic character varying NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    service character varying NOT NULL,
    reason character varying NOT NULL,
    "time" character varying(27) NOT NULL,
    tries integer NOT NULL,
    history bytea NOT NULL,
    key bytea,
    headers bytea NOT NULL,
    body bytea
);
CREATE SEQUENCE dead_letters.letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE dead_letters.letters_id_seq OWNED BY dead_letters.letters.id;
CREATE TABLE dead_letters.outbox (
    id bigint NOT NULL,
    topic character varying NOT NULL,
    partition integer,
    key bytea,
    headers bytea NOT NULL,
    body bytea,
    published boolean NOT NULL
);
CREATE SEQUENCE dead_letters.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE dead_letters.outbox_id_seq OWNED BY dead_letters.outbox.id;
CREATE TABLE dead_letters.positions (
    topic character varying NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    moved_at character varying(27) NOT NULL
);
CREATE TABLE dead_letters.schema_version (
    version integer NOT NULL
);
CREATE TABLE event_log.cluster (
    id character varying NOT NULL
);
CREATE TABLE event_log.event_log (
    "position" bigint NOT NULL,
    event_id character varying NOT NULL,
    type character varying NOT NULL,
    version integer NOT NULL,
    source character varying NOT NULL,
    subject character varying NOT NULL,
    correlation_id character varying NOT NULL,
    causation_id character varying,
    business_time character varying(27) NOT NULL,
    published_time character varying(27) NOT NULL,
    recorded_time character varying(27) NOT NULL,
    topic character varying NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    body bytea NOT NULL,
    hash bytea NOT NULL
);
CREATE SEQUENCE event_log.event_log_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE event_log.event_log_position_seq OWNED BY event_log.event_log."position";
CREATE TABLE event_log.outbox (
    id bigint NOT NULL,
    topic character varying NOT NULL,
    partition integer,
    key bytea,
    headers bytea NOT NULL,
    body bytea,
    published boolean NOT NULL
);
CREATE SEQUENCE event_log.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE event_log.outbox_id_seq OWNED BY event_log.outbox.id;
CREATE TABLE event_log.positions (
    topic character varying NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    moved_at character varying(27) NOT NULL
);
CREATE TABLE event_log.repeats (
    topic character varying NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    event_id character varying NOT NULL
);
CREATE TABLE event_log.schema_version (
    version integer NOT NULL
);
CREATE TABLE event_log.workers (
    service character varying NOT NULL,
    process character varying NOT NULL,
    started_at character varying(27) NOT NULL,
    seen_at character varying(27) NOT NULL
);
CREATE TABLE "order".cluster (
    id character varying NOT NULL
);
CREATE TABLE "order".early (
    event_id character varying NOT NULL,
    order_id character varying NOT NULL,
    topic character varying NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    headers bytea NOT NULL,
    body bytea
);
CREATE TABLE "order".inbox (
    event_id character varying NOT NULL,
    topic character varying NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    digest bytea NOT NULL
);
CREATE TABLE "order".orders (
    order_id character varying NOT NULL,
    state character varying NOT NULL,
    reason character varying
);
CREATE TABLE "order".outbox (
    id bigint NOT NULL,
    topic character varying NOT NULL,
    partition integer,
    key bytea,
    headers bytea NOT NULL,
    body bytea,
    published boolean NOT NULL
);
CREATE SEQUENCE "order".outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE "order".outbox_id_seq OWNED BY "order".outbox.id;
CREATE TABLE "order".positions (
    topic character varying NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    moved_at character varying(27) NOT NULL
);
CREATE TABLE "order".requests (
    correlation_id character varying NOT NULL,
    order_id character varying NOT NULL,
    state character varying NOT NULL,
    outcome character varying,
    "order" bytea NOT NULL,
    asked_at character varying(27) NOT NULL,
    expires_at character varying(27) NOT NULL,
    settled_at character varying(27)
);
CREATE TABLE "order".schema_version (
    version integer NOT NULL
);
CREATE TABLE "order".workers (
    service character varying NOT NULL,
    process character varying NOT NULL,
    started_at character varying(27) NOT NULL,
    seen_at character varying(27) NOT NULL
);
CREATE TABLE payment.account_events (
    id bigint NOT NULL,
    customer_id character varying NOT NULL,
    order_id character varying NOT NULL,
    type character varying NOT NULL,
    body bytea NOT NULL
);
CREATE SEQUENCE payment.account_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE payment.account_events_id_seq OWNED BY payment.account_events.id;
CREATE TABLE payment.cluster (
    id character varying NOT NULL
);
CREATE TABLE payment.inbox (
    event_id character varying NOT NULL,
    topic character varying NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    digest bytea NOT NULL
);
CREATE TABLE payment.outbox (
    id bigint NOT NULL,
    topic character varying NOT NULL,
    partition integer,
    key bytea,
    headers bytea NOT NULL,
    body bytea,
    published boolean NOT NULL
);
CREATE SEQUENCE payment.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE payment.outbox_id_seq OWNED BY payment.outbox.id;
CREATE TABLE payment.positions (
    topic character varying NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    moved_at character varying(27) NOT NULL
);
CREATE TABLE payment.schema_version (
    version integer NOT NULL
);
CREATE TABLE payment.workers (
    service character varying NOT NULL,
    process character varying NOT NULL,
    started_at character varying(27) NOT NULL,
    seen_at character varying(27) NOT NULL
);
CREATE TABLE proofs.cluster (
    id character varying NOT NULL
);
CREATE TABLE proofs.proofs (
    id integer NOT NULL,
    ended_at character varying(27) NOT NULL,
    "position" integer NOT NULL,
    hash bytea NOT NULL,
    holds boolean NOT NULL,
    parts bytea NOT NULL
);
CREATE SEQUENCE proofs.proofs_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE proofs.proofs_id_seq OWNED BY proofs.proofs.id;
CREATE TABLE proofs.schema_version (
    version integer NOT NULL
);
CREATE TABLE report.cluster (
    id character varying NOT NULL
);
CREATE TABLE report.customers (
    customer_id character varying NOT NULL,
    currency character varying NOT NULL,
    first_purchase character varying,
    orders bigint NOT NULL,
    repeat_purchases bigint NOT NULL,
    accepted_cents bigint NOT NULL,
    last_purchase character varying
);
CREATE TABLE report.declines_by_month (
    month character varying NOT NULL,
    currency character varying NOT NULL,
    reason character varying NOT NULL,
    orders bigint NOT NULL,
    cents bigint NOT NULL
);
CREATE TABLE report.late_by_month (
    month character varying NOT NULL,
    currency character varying NOT NULL,
    recorded character varying NOT NULL,
    outcome character varying NOT NULL,
    orders bigint NOT NULL,
    cents bigint NOT NULL
);
CREATE TABLE report.order_stories (
    order_id character varying NOT NULL,
    state character varying NOT NULL,
    reason character varying,
    cents bigint,
    currency character varying,
    customer_id character varying NOT NULL,
    ordered_at character varying NOT NULL,
    placed_position bigint,
    placed_at character varying,
    authorized_position bigint,
    authorized_at character varying,
    shipped_position bigint,
    shipped_at character varying
);
CREATE TABLE report.projected (
    projection character varying NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL
);
CREATE TABLE report.revenue_by_day (
    day character varying NOT NULL,
    currency character varying NOT NULL,
    outcome character varying NOT NULL,
    orders bigint NOT NULL,
    cents bigint NOT NULL
);
CREATE TABLE report.revenue_growth (
    part character varying NOT NULL,
    recorded character varying NOT NULL,
    day character varying NOT NULL,
    currency character varying NOT NULL,
    outcome character varying NOT NULL,
    orders bigint NOT NULL,
    cents bigint NOT NULL
);
CREATE TABLE report.schema_version (
    version integer NOT NULL
);
CREATE TABLE warehouse.cluster (
    id character varying NOT NULL
);
CREATE TABLE warehouse.inbox (
    event_id character varying NOT NULL,
    topic character varying NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    digest bytea NOT NULL
);
CREATE TABLE warehouse.outbox (
    id bigint NOT NULL,
    topic character varying NOT NULL,
    partition integer,
    key bytea,
    headers bytea NOT NULL,
    body bytea,
    published boolean NOT NULL
);
CREATE SEQUENCE warehouse.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE warehouse.outbox_id_seq OWNED BY warehouse.outbox.id;
CREATE TABLE warehouse.parcels (
    order_id character varying NOT NULL,
    customer_id character varying NOT NULL,
    items integer NOT NULL
);
CREATE TABLE warehouse.positions (
    topic character varying NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    moved_at character varying(27) NOT NULL
);
CREATE TABLE warehouse.schema_version (
    version integer NOT NULL
);
CREATE TABLE warehouse.workers (
    service character varying NOT NULL,
    process character varying NOT NULL,
    started_at character varying(27) NOT NULL,
    seen_at character varying(27) NOT NULL
);
ALTER TABLE ONLY dead_letters.letter_actions ALTER COLUMN id SET DEFAULT nextval('dead_letters.letter_actions_id_seq'::regclass);
ALTER TABLE ONLY dead_letters.letters ALTER COLUMN id SET DEFAULT nextval('dead_letters.letters_id_seq'::regclass);
ALTER TABLE ONLY dead_letters.outbox ALTER COLUMN id SET DEFAULT nextval('dead_letters.outbox_id_seq'::regclass);
ALTER TABLE ONLY event_log.event_log ALTER COLUMN "position" SET DEFAULT nextval('event_log.event_log_position_seq'::regclass);
ALTER TABLE ONLY event_log.outbox ALTER COLUMN id SET DEFAULT nextval('event_log.outbox_id_seq'::regclass);
ALTER TABLE ONLY "order".outbox ALTER COLUMN id SET DEFAULT nextval('"order".outbox_id_seq'::regclass);
ALTER TABLE ONLY payment.account_events ALTER COLUMN id SET DEFAULT nextval('payment.account_events_id_seq'::regclass);
ALTER TABLE ONLY payment.outbox ALTER COLUMN id SET DEFAULT nextval('payment.outbox_id_seq'::regclass);
ALTER TABLE ONLY proofs.proofs ALTER COLUMN id SET DEFAULT nextval('proofs.proofs_id_seq'::regclass);
ALTER TABLE ONLY warehouse.outbox ALTER COLUMN id SET DEFAULT nextval('warehouse.outbox_id_seq'::regclass);
INSERT INTO dead_letters.letter_actions VALUES (1, 'orders', 1, 3, 'dropped', '1997-04-02T12:00:00.000000Z', 'it says nothing', NULL, NULL, NULL);
INSERT INTO dead_letters.letters VALUES (1, 'orders', 1, 3, 'payment', 'MalformedRecord: shop.NewOrder.v1: Input data was truncated', '1997-04-02T12:00:00.000000Z', 1, '\x90', '\x31', '\x9892ae63655f7370656376657273696f6ec403312e3092a563655f6964c42438646339316633632d353033382d353037652d393936612d66333730623237326632393392a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3192b063655f636f7272656c6174696f6e6964c4076561726c792f3192ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e', '\x7b');
INSERT INTO dead_letters.letters VALUES (2, 'orders', 1, 3, 'recorder', 'MalformedRecord: shop.NewOrder.v1: Input data was truncated', '1997-04-02T12:00:00.000000Z', 1, '\x90', '\x31', '\x9892ae63655f7370656376657273696f6ec403312e3092a563655f6964c42438646339316633632d353033382d353037652d393936612d66333730623237326632393392a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3192b063655f636f7272656c6174696f6e6964c4076561726c792f3192ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e', '\x7b');
INSERT INTO dead_letters.schema_version VALUES (2);
INSERT INTO event_log.event_log VALUES (1, '8dc91f3c-5038-507e-996a-f370b272f293', 'shop.NewOrder', 1, '/shop/order', 'early/1', 'early/1', NULL, '1997-03-30T01:00:00.000000Z', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:00:00.000000Z', 'orders', 1, 0, '\x7b226f726465725f6964223a226561726c792f31222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430313a30303a30305a222c22616d6f756e74223a7b2263656e7473223a31303030302c2263757272656e6379223a22555344227d2c226974656d73223a312c2262696c6c696e675f61646472657373223a2231204f7264657220537472656574227d', '\xc4db2f93cbe39d51b45c0689b26bd29d5419aea0d9809af8fabb1d9bb1ae1643');
INSERT INTO event_log.event_log VALUES (2, 'eea1a5d7-52a5-5671-a2ab-ee74d4bc8b7d', 'shop.NewOrder', 1, '/shop/order', 'early/2', 'early/2', NULL, '1997-03-30T02:00:00.000000Z', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:00:00.000000Z', 'orders', 1, 1, '\x7b226f726465725f6964223a226561726c792f32222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430323a30303a30305a222c22616d6f756e74223a7b2263656e7473223a32303130302c2263757272656e6379223a22555344227d2c226974656d73223a322c2262696c6c696e675f61646472657373223a2231204f7264657220537472656574227d', '\xfca80abc71c48f0d114abf1553489f082066a7ec1d725bdc27d7763b0db3ae16');
INSERT INTO event_log.event_log VALUES (3, '4250d242-142e-515b-9b08-98b5a86b77c6', 'shop.NewOrder', 1, '/shop/order', 'early/3', 'early/3', NULL, '1997-03-30T03:00:00.000000Z', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:00:00.000000Z', 'orders', 1, 2, '\x7b226f726465725f6964223a226561726c792f33222c22637573746f6d65725f6964223a223937222c226f7264657265645f6174223a22313939372d30332d33305430333a30303a30305a222c22616d6f756e74223a7b2263656e7473223a3530302c2263757272656e6379223a22555344227d2c226974656d73223a332c2262696c6c696e675f61646472657373223a223937204f7264657220537472656574227d', '\xfaaaf64b2044d11d4068370de42d950192ae3893155e526bad84e8f1fd92c6d6');
INSERT INTO event_log.event_log VALUES (4, 'c6b837c3-943c-55ef-b4cc-a16719882601', 'shop.NewOrder', 1, '/shop/order', 'early/4', 'early/4', NULL, '1997-03-30T04:00:00.000000Z', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:00:00.000000Z', 'orders', 2, 0, '\x7b226f726465725f6964223a226561726c792f34222c22637573746f6d65725f6964223a2232222c226f7264657265645f6174223a22313939372d30332d33305430343a30303a30305a222c22616d6f756e74223a7b2263656e7473223a313137372c2263757272656e6379223a22555344227d2c226974656d73223a342c2262696c6c696e675f61646472657373223a2232204f7264657220537472656574227d', '\x3abc69fd603392ff816e1fd185f74a4f46e2fb544d17a2145bf95a1e0d9442c3');
INSERT INTO event_log.event_log VALUES (5, '6da08fdc-7236-5dcc-9bee-1eca154a8de2', 'shop.AuthorizationAccepted', 1, '/shop/payment', 'early/1', 'early/1', '8dc91f3c-5038-507e-996a-f370b272f293', '1997-03-30T01:00:00.000000Z', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:00:00.000000Z', 'authorizations', 1, 0, '\x7b226f726465725f6964223a226561726c792f31222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430313a30303a30305a222c22616d6f756e74223a7b2263656e7473223a31303030302c2263757272656e6379223a22555344227d2c226974656d73223a317d', '\x8d13ee19bb3c017f54ab4009f557747a82d258a51062a109b5da93e1cd97aa6c');
INSERT INTO event_log.event_log VALUES (6, '5d413fa2-3797-5526-8170-0bc1f86db76b', 'shop.AuthorizationDeclined', 1, '/shop/payment', 'early/2', 'early/2', 'eea1a5d7-52a5-5671-a2ab-ee74d4bc8b7d', '1997-03-30T02:00:00.000000Z', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:00:00.000000Z', 'authorizations', 1, 1, '\x7b226f726465725f6964223a226561726c792f32222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430323a30303a30305a222c22616d6f756e74223a7b2263656e7473223a32303130302c2263757272656e6379223a22555344227d2c226974656d73223a322c22726561736f6e223a226e6f5f66756e6473227d', '\xd7391c1fa9e91380a06e390d5fafcbe71659b7e54ac18f9b0debe331dc44609b');
INSERT INTO event_log.event_log VALUES (7, '963ccd8a-60c8-5f5c-8a1b-75d8ba90533e', 'shop.AuthorizationDeclined', 1, '/shop/payment', 'early/3', 'early/3', '4250d242-142e-515b-9b08-98b5a86b77c6', '1997-03-30T03:00:00.000000Z', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:00:00.000000Z', 'authorizations', 1, 2, '\x7b226f726465725f6964223a226561726c792f33222c22637573746f6d65725f6964223a223937222c226f7264657265645f6174223a22313939372d30332d33305430333a30303a30305a222c22616d6f756e74223a7b2263656e7473223a3530302c2263757272656e6379223a22555344227d2c226974656d73223a332c22726561736f6e223a226163636f756e745f636c6f736564227d', '\xe1705d47970512a921fb31e6641fe34070702be1c8b61023188c4a1e5394ed19');
INSERT INTO event_log.event_log VALUES (8, '1f7e4985-bb46-5dd2-8cc0-e901e3ecd5dd', 'shop.AuthorizationAccepted', 1, '/shop/payment', 'early/4', 'early/4', 'c6b837c3-943c-55ef-b4cc-a16719882601', '1997-03-30T04:00:00.000000Z', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:00:00.000000Z', 'authorizations', 2, 0, '\x7b226f726465725f6964223a226561726c792f34222c22637573746f6d65725f6964223a2232222c226f7264657265645f6174223a22313939372d30332d33305430343a30303a30305a222c22616d6f756e74223a7b2263656e7473223a313137372c2263757272656e6379223a22555344227d2c226974656d73223a347d', '\xbf8680415d1796f32683a309b31a6aae41663bc3dc889e0fa08d52d420b09daf');
INSERT INTO event_log.outbox VALUES (1, 'orders.dead-letter', NULL, '\x31', '\x9f92ae63655f7370656376657273696f6ec403312e3092a563655f6964c42438646339316633632d353033382d353037652d393936612d66333730623237326632393392a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3192b063655f636f7272656c6174696f6e6964c4076561726c792f3192ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92b2646561645f6c65747465725f726561736f6ec43b4d616c666f726d65645265636f72643a2073686f702e4e65774f726465722e76313a20496e707574206461746120776173207472756e636174656492b3646561645f6c65747465725f73657276696365c4087265636f7264657292b1646561645f6c65747465725f746f706963c4066f726465727392b5646561645f6c65747465725f706172746974696f6ec4013192b2646561645f6c65747465725f6f6666736574c4013392b0646561645f6c65747465725f74696d65c414313939372d30342d30325431323a30303a30305a92b1646561645f6c65747465725f7472696573c40131', '\x7b', true);
INSERT INTO event_log.positions VALUES ('orders', 1, 5, '1997-04-02T12:00:00.000000Z');
INSERT INTO event_log.positions VALUES ('orders', 2, 1, '1997-04-02T12:00:00.000000Z');
INSERT INTO event_log.positions VALUES ('authorizations', 1, 3, '1997-04-02T12:00:00.000000Z');
INSERT INTO event_log.positions VALUES ('authorizations', 2, 1, '1997-04-02T12:00:00.000000Z');
INSERT INTO event_log.repeats VALUES ('orders', 1, 4, '8dc91f3c-5038-507e-996a-f370b272f293');
INSERT INTO event_log.schema_version VALUES (2);
INSERT INTO "order".cluster VALUES ('earlier');
INSERT INTO "order".early VALUES ('cd2bb160-8376-5a84-9aab-41acaf3a1b2e', 'early/6', 'authorizations', 0, 0, '\x33', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42463643262623136302d383337362d356138342d396161622d34316163616633613162326592a763655f74797065c41d73686f702e417574686f72697a6174696f6e41636365707465642e763192a963655f736f75726365c40d2f73686f702f7061796d656e7492a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3692b063655f636f7272656c6174696f6e6964c4076561726c792f3692ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42436353031633435362d313464352d353432372d623530332d333264623339643938666632', '\x7b226f726465725f6964223a226561726c792f36222c22637573746f6d65725f6964223a2233222c226f7264657265645f6174223a22313939372d30332d33305430363a30303a30305a222c22616d6f756e74223a7b2263656e7473223a343039362c2263757272656e6379223a22555344227d2c226974656d73223a367d');
INSERT INTO "order".inbox VALUES ('6da08fdc-7236-5dcc-9bee-1eca154a8de2', 'authorizations', 1, 0, '\x8d72c6b10fadf796d90e2b8c92609ea7');
INSERT INTO "order".inbox VALUES ('5d413fa2-3797-5526-8170-0bc1f86db76b', 'authorizations', 1, 1, '\xb8af7d50d362fbe4074733d9a75a2bb9');
INSERT INTO "order".inbox VALUES ('963ccd8a-60c8-5f5c-8a1b-75d8ba90533e', 'authorizations', 1, 2, '\xba7e9ae938f5418a6c3ff29f8a6dc2ac');
INSERT INTO "order".inbox VALUES ('1f7e4985-bb46-5dd2-8cc0-e901e3ecd5dd', 'authorizations', 2, 0, '\x7a85c07d3d78d8858afa62136da6e0fe');
INSERT INTO "order".inbox VALUES ('cd2bb160-8376-5a84-9aab-41acaf3a1b2e', 'authorizations', 0, 0, '\x53bbd64f504dc71aaa7c65e148ee8170');
INSERT INTO "order".orders VALUES ('early/1', 'accepted', NULL);
INSERT INTO "order".orders VALUES ('early/2', 'declined', 'no_funds');
INSERT INTO "order".orders VALUES ('early/3', 'declined', 'account_closed');
INSERT INTO "order".orders VALUES ('early/4', 'accepted', NULL);
INSERT INTO "order".orders VALUES ('early/5', 'placed', NULL);
INSERT INTO "order".outbox VALUES (1, 'orders', NULL, '\x31', '\x9892ae63655f7370656376657273696f6ec403312e3092a563655f6964c42438646339316633632d353033382d353037652d393936612d66333730623237326632393392a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3192b063655f636f7272656c6174696f6e6964c4076561726c792f3192ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e', '\x7b226f726465725f6964223a226561726c792f31222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430313a30303a30305a222c22616d6f756e74223a7b2263656e7473223a31303030302c2263757272656e6379223a22555344227d2c226974656d73223a312c2262696c6c696e675f61646472657373223a2231204f7264657220537472656574227d', true);
INSERT INTO "order".outbox VALUES (2, 'orders', NULL, '\x31', '\x9892ae63655f7370656376657273696f6ec403312e3092a563655f6964c42465656131613564372d353261352d353637312d613261622d65653734643462633862376492a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3292b063655f636f7272656c6174696f6e6964c4076561726c792f3292ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e', '\x7b226f726465725f6964223a226561726c792f32222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430323a30303a30305a222c22616d6f756e74223a7b2263656e7473223a32303130302c2263757272656e6379223a22555344227d2c226974656d73223a322c2262696c6c696e675f61646472657373223a2231204f7264657220537472656574227d', true);
INSERT INTO "order".outbox VALUES (3, 'orders', NULL, '\x3937', '\x9892ae63655f7370656376657273696f6ec403312e3092a563655f6964c42434323530643234322d313432652d353135622d396230382d39386235613836623737633692a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3392b063655f636f7272656c6174696f6e6964c4076561726c792f3392ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e', '\x7b226f726465725f6964223a226561726c792f33222c22637573746f6d65725f6964223a223937222c226f7264657265645f6174223a22313939372d30332d33305430333a30303a30305a222c22616d6f756e74223a7b2263656e7473223a3530302c2263757272656e6379223a22555344227d2c226974656d73223a332c2262696c6c696e675f61646472657373223a223937204f7264657220537472656574227d', true);
INSERT INTO "order".outbox VALUES (4, 'orders', NULL, '\x32', '\x9892ae63655f7370656376657273696f6ec403312e3092a563655f6964c42463366238333763332d393433632d353565662d623463632d61313637313938383236303192a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3492b063655f636f7272656c6174696f6e6964c4076561726c792f3492ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e', '\x7b226f726465725f6964223a226561726c792f34222c22637573746f6d65725f6964223a2232222c226f7264657265645f6174223a22313939372d30332d33305430343a30303a30305a222c22616d6f756e74223a7b2263656e7473223a313137372c2263757272656e6379223a22555344227d2c226974656d73223a342c2262696c6c696e675f61646472657373223a2232204f7264657220537472656574227d', true);
INSERT INTO "order".outbox VALUES (5, 'warehouse.requests', NULL, '\x31', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42462373334616164372d343363362d353864372d613263382d32636363343434306363303892a763655f74797065c41173686f702e536869704f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3192b063655f636f7272656c6174696f6e6964c4076561726c792f3192ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42436646130386664632d373233362d356463632d396265652d316563613135346138646532', '\x7b226f726465725f6964223a226561726c792f31222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430313a30303a30305a222c22616d6f756e74223a7b2263656e7473223a31303030302c2263757272656e6379223a22555344227d2c226974656d73223a317d', true);
INSERT INTO "order".outbox VALUES (6, 'warehouse.requests', NULL, '\x32', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42437353165363761652d643730632d353065662d623665342d66346431613265613838396592a763655f74797065c41173686f702e536869704f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3492b063655f636f7272656c6174696f6e6964c4076561726c792f3492ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42431663765343938352d626234362d356464322d386363302d653930316533656364356464', '\x7b226f726465725f6964223a226561726c792f34222c22637573746f6d65725f6964223a2232222c226f7264657265645f6174223a22313939372d30332d33305430343a30303a30305a222c22616d6f756e74223a7b2263656e7473223a313137372c2263757272656e6379223a22555344227d2c226974656d73223a347d', true);
INSERT INTO "order".outbox VALUES (7, 'orders', NULL, '\x32', '\x9892ae63655f7370656376657273696f6ec403312e3092a563655f6964c42435336532613439312d306639322d353862322d613166622d32306466393130393537653092a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3592b063655f636f7272656c6174696f6e6964c4076561726c792f3592ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e', '\x7b226f726465725f6964223a226561726c792f35222c22637573746f6d65725f6964223a2232222c226f7264657265645f6174223a22313939372d30332d33305430353a30303a30305a222c22616d6f756e74223a7b2263656e7473223a323333332c2263757272656e6379223a22555344227d2c226974656d73223a352c2262696c6c696e675f61646472657373223a2232204f7264657220537472656574227d', false);
INSERT INTO "order".positions VALUES ('authorizations', 1, 3, '1997-04-02T12:00:00.000000Z');
INSERT INTO "order".positions VALUES ('authorizations', 2, 1, '1997-04-02T12:00:00.000000Z');
INSERT INTO "order".positions VALUES ('authorizations', 0, 1, '1997-04-02T12:00:00.000000Z');
INSERT INTO "order".requests VALUES ('5f9a0e1e-0000-4000-8000-000000000001', 'early/1', 'pending', NULL, '\x7b226f726465725f6964223a226561726c792f31222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430313a30303a30305a222c22616d6f756e74223a7b2263656e7473223a31303030302c2263757272656e6379223a22555344227d2c226974656d73223a312c2262696c6c696e675f61646472657373223a2231204f7264657220537472656574227d', '1997-04-02T12:00:00.000000Z', '1997-04-02T12:01:00.000000Z', NULL);
INSERT INTO "order".schema_version VALUES (2);
INSERT INTO payment.account_events VALUES (1, '1', 'early/1', 'shop.AuthorizationAccepted.v1', '\x7b226f726465725f6964223a226561726c792f31222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430313a30303a30305a222c22616d6f756e74223a7b2263656e7473223a31303030302c2263757272656e6379223a22555344227d2c226974656d73223a317d');
INSERT INTO payment.account_events VALUES (2, '1', 'early/2', 'shop.AuthorizationDeclined.v1', '\x7b226f726465725f6964223a226561726c792f32222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430323a30303a30305a222c22616d6f756e74223a7b2263656e7473223a32303130302c2263757272656e6379223a22555344227d2c226974656d73223a322c22726561736f6e223a226e6f5f66756e6473227d');
INSERT INTO payment.account_events VALUES (3, '97', 'early/3', 'shop.AuthorizationDeclined.v1', '\x7b226f726465725f6964223a226561726c792f33222c22637573746f6d65725f6964223a223937222c226f7264657265645f6174223a22313939372d30332d33305430333a30303a30305a222c22616d6f756e74223a7b2263656e7473223a3530302c2263757272656e6379223a22555344227d2c226974656d73223a332c22726561736f6e223a226163636f756e745f636c6f736564227d');
INSERT INTO payment.account_events VALUES (4, '2', 'early/4', 'shop.AuthorizationAccepted.v1', '\x7b226f726465725f6964223a226561726c792f34222c22637573746f6d65725f6964223a2232222c226f7264657265645f6174223a22313939372d30332d33305430343a30303a30305a222c22616d6f756e74223a7b2263656e7473223a313137372c2263757272656e6379223a22555344227d2c226974656d73223a347d');
INSERT INTO payment.account_events VALUES (5, '3', 'early/6', 'shop.AuthorizationAccepted.v1', '\x7b226f726465725f6964223a226561726c792f36222c22637573746f6d65725f6964223a2233222c226f7264657265645f6174223a22313939372d30332d33305430363a30303a30305a222c22616d6f756e74223a7b2263656e7473223a343039362c2263757272656e6379223a22555344227d2c226974656d73223a367d');
INSERT INTO payment.inbox VALUES ('8dc91f3c-5038-507e-996a-f370b272f293', 'orders', 1, 0, '\x2a40bf197afc1ec9c0450e2f37c90dec');
INSERT INTO payment.inbox VALUES ('eea1a5d7-52a5-5671-a2ab-ee74d4bc8b7d', 'orders', 1, 1, '\xd9a9404453bf79f43792d50a6e46dcb8');
INSERT INTO payment.inbox VALUES ('4250d242-142e-515b-9b08-98b5a86b77c6', 'orders', 1, 2, '\xeae76e0c603f9dcc31ce211d07da9c32');
INSERT INTO payment.inbox VALUES ('c6b837c3-943c-55ef-b4cc-a16719882601', 'orders', 2, 0, '\x40c53b3a4ffb6e2e940c2fb5b10c6877');
INSERT INTO payment.inbox VALUES ('6501c456-14d5-5427-b503-32db39d98ff2', 'orders', 0, 0, '\x14ef9766444e779932a5dcc152d7653f');
INSERT INTO payment.outbox VALUES (1, 'authorizations', NULL, '\x31', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42436646130386664632d373233362d356463632d396265652d31656361313534613864653292a763655f74797065c41d73686f702e417574686f72697a6174696f6e41636365707465642e763192a963655f736f75726365c40d2f73686f702f7061796d656e7492a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3192b063655f636f7272656c6174696f6e6964c4076561726c792f3192ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42438646339316633632d353033382d353037652d393936612d663337306232373266323933', '\x7b226f726465725f6964223a226561726c792f31222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430313a30303a30305a222c22616d6f756e74223a7b2263656e7473223a31303030302c2263757272656e6379223a22555344227d2c226974656d73223a317d', true);
INSERT INTO payment.outbox VALUES (2, 'authorizations', NULL, '\x31', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42435643431336661322d333739372d353532362d383137302d30626331663836646237366292a763655f74797065c41d73686f702e417574686f72697a6174696f6e4465636c696e65642e763192a963655f736f75726365c40d2f73686f702f7061796d656e7492a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3292b063655f636f7272656c6174696f6e6964c4076561726c792f3292ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42465656131613564372d353261352d353637312d613261622d656537346434626338623764', '\x7b226f726465725f6964223a226561726c792f32222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430323a30303a30305a222c22616d6f756e74223a7b2263656e7473223a32303130302c2263757272656e6379223a22555344227d2c226974656d73223a322c22726561736f6e223a226e6f5f66756e6473227d', true);
INSERT INTO payment.outbox VALUES (3, 'authorizations', NULL, '\x3937', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42439363363636438612d363063382d356635632d386131622d37356438626139303533336592a763655f74797065c41d73686f702e417574686f72697a6174696f6e4465636c696e65642e763192a963655f736f75726365c40d2f73686f702f7061796d656e7492a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3392b063655f636f7272656c6174696f6e6964c4076561726c792f3392ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42434323530643234322d313432652d353135622d396230382d393862356138366237376336', '\x7b226f726465725f6964223a226561726c792f33222c22637573746f6d65725f6964223a223937222c226f7264657265645f6174223a22313939372d30332d33305430333a30303a30305a222c22616d6f756e74223a7b2263656e7473223a3530302c2263757272656e6379223a22555344227d2c226974656d73223a332c22726561736f6e223a226163636f756e745f636c6f736564227d', true);
INSERT INTO payment.outbox VALUES (4, 'authorizations', NULL, '\x32', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42431663765343938352d626234362d356464322d386363302d65393031653365636435646492a763655f74797065c41d73686f702e417574686f72697a6174696f6e41636365707465642e763192a963655f736f75726365c40d2f73686f702f7061796d656e7492a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3492b063655f636f7272656c6174696f6e6964c4076561726c792f3492ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42463366238333763332d393433632d353565662d623463632d613136373139383832363031', '\x7b226f726465725f6964223a226561726c792f34222c22637573746f6d65725f6964223a2232222c226f7264657265645f6174223a22313939372d30332d33305430343a30303a30305a222c22616d6f756e74223a7b2263656e7473223a313137372c2263757272656e6379223a22555344227d2c226974656d73223a347d', true);
INSERT INTO payment.outbox VALUES (5, 'orders.dead-letter', NULL, '\x31', '\x9f92ae63655f7370656376657273696f6ec403312e3092a563655f6964c42438646339316633632d353033382d353037652d393936612d66333730623237326632393392a763655f74797065c41073686f702e4e65774f726465722e763192a963655f736f75726365c40b2f73686f702f6f7264657292a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3192b063655f636f7272656c6174696f6e6964c4076561726c792f3192ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92b2646561645f6c65747465725f726561736f6ec43b4d616c666f726d65645265636f72643a2073686f702e4e65774f726465722e76313a20496e707574206461746120776173207472756e636174656492b3646561645f6c65747465725f73657276696365c4077061796d656e7492b1646561645f6c65747465725f746f706963c4066f726465727392b5646561645f6c65747465725f706172746974696f6ec4013192b2646561645f6c65747465725f6f6666736574c4013392b0646561645f6c65747465725f74696d65c414313939372d30342d30325431323a30303a30305a92b1646561645f6c65747465725f7472696573c40131', '\x7b', true);
INSERT INTO payment.outbox VALUES (6, 'authorizations', NULL, '\x33', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42463643262623136302d383337362d356138342d396161622d34316163616633613162326592a763655f74797065c41d73686f702e417574686f72697a6174696f6e41636365707465642e763192a963655f736f75726365c40d2f73686f702f7061796d656e7492a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3692b063655f636f7272656c6174696f6e6964c4076561726c792f3692ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42436353031633435362d313464352d353432372d623530332d333264623339643938666632', '\x7b226f726465725f6964223a226561726c792f36222c22637573746f6d65725f6964223a2233222c226f7264657265645f6174223a22313939372d30332d33305430363a30303a30305a222c22616d6f756e74223a7b2263656e7473223a343039362c2263757272656e6379223a22555344227d2c226974656d73223a367d', true);
INSERT INTO payment.positions VALUES ('orders', 1, 5, '1997-04-02T12:00:00.000000Z');
INSERT INTO payment.positions VALUES ('orders', 2, 1, '1997-04-02T12:00:00.000000Z');
INSERT INTO payment.positions VALUES ('orders', 0, 1, '1997-04-02T12:00:00.000000Z');
INSERT INTO payment.schema_version VALUES (2);
INSERT INTO proofs.proofs VALUES (1, '1997-04-02T12:00:00.000000Z', 3, '\x33', true, '\x5b5d');
INSERT INTO proofs.schema_version VALUES (2);
INSERT INTO report.customers VALUES ('1', 'USD', '1997-03-30T01:00:00.000000Z', 2, 0, 10000, '1997-03-30T01:00:00.000000Z');
INSERT INTO report.customers VALUES ('97', 'USD', NULL, 1, 0, 0, NULL);
INSERT INTO report.customers VALUES ('2', 'USD', '1997-03-30T04:00:00.000000Z', 1, 0, 1177, '1997-03-30T04:00:00.000000Z');
INSERT INTO report.declines_by_month VALUES ('1997-03', 'USD', 'no_funds', 1, 20100);
INSERT INTO report.declines_by_month VALUES ('1997-03', 'USD', 'account_closed', 1, 500);
INSERT INTO report.late_by_month VALUES ('1997-03', 'USD', '1997-04-02', 'accepted', 2, 11177);
INSERT INTO report.late_by_month VALUES ('1997-03', 'USD', '1997-04-02', 'no_funds', 1, 20100);
INSERT INTO report.late_by_month VALUES ('1997-03', 'USD', '1997-04-02', 'account_closed', 1, 500);
INSERT INTO report.order_stories VALUES ('early/1', 'accepted', NULL, 10000, 'USD', '1', '1997-03-30T01:00:00.000000Z', 1, '1997-04-02T12:00:00.000000Z', 5, '1997-04-02T12:00:00.000000Z', NULL, NULL);
INSERT INTO report.order_stories VALUES ('early/2', 'declined', 'no_funds', 20100, 'USD', '1', '1997-03-30T02:00:00.000000Z', 2, '1997-04-02T12:00:00.000000Z', 6, '1997-04-02T12:00:00.000000Z', NULL, NULL);
INSERT INTO report.order_stories VALUES ('early/3', 'declined', 'account_closed', 500, 'USD', '97', '1997-03-30T03:00:00.000000Z', 3, '1997-04-02T12:00:00.000000Z', 7, '1997-04-02T12:00:00.000000Z', NULL, NULL);
INSERT INTO report.order_stories VALUES ('early/4', 'accepted', NULL, 1177, 'USD', '2', '1997-03-30T04:00:00.000000Z', 4, '1997-04-02T12:00:00.000000Z', 8, '1997-04-02T12:00:00.000000Z', NULL, NULL);
INSERT INTO report.projected VALUES ('customers', 8, '\xbf8680415d1796f32683a309b31a6aae41663bc3dc889e0fa08d52d420b09daf');
INSERT INTO report.projected VALUES ('declines', 8, '\xbf8680415d1796f32683a309b31a6aae41663bc3dc889e0fa08d52d420b09daf');
INSERT INTO report.projected VALUES ('growth', 8, '\xbf8680415d1796f32683a309b31a6aae41663bc3dc889e0fa08d52d420b09daf');
INSERT INTO report.projected VALUES ('late', 8, '\xbf8680415d1796f32683a309b31a6aae41663bc3dc889e0fa08d52d420b09daf');
INSERT INTO report.projected VALUES ('revenue', 8, '\xbf8680415d1796f32683a309b31a6aae41663bc3dc889e0fa08d52d420b09daf');
INSERT INTO report.projected VALUES ('stories', 8, '\xbf8680415d1796f32683a309b31a6aae41663bc3dc889e0fa08d52d420b09daf');
INSERT INTO report.revenue_by_day VALUES ('1997-03-30', 'USD', 'accepted', 2, 11177);
INSERT INTO report.revenue_by_day VALUES ('1997-03-30', 'USD', 'no_funds', 1, 20100);
INSERT INTO report.revenue_by_day VALUES ('1997-03-30', 'USD', 'account_closed', 1, 500);
INSERT INTO report.revenue_growth VALUES ('000000000000', '1997-04-02', '1997-03-30', 'USD', 'accepted', 2, 11177);
INSERT INTO report.revenue_growth VALUES ('000000000000', '1997-04-02', '1997-03-30', 'USD', 'no_funds', 1, 20100);
INSERT INTO report.revenue_growth VALUES ('000000000000', '1997-04-02', '1997-03-30', 'USD', 'account_closed', 1, 500);
INSERT INTO report.schema_version VALUES (2);
INSERT INTO warehouse.inbox VALUES ('b734aad7-43c6-58d7-a2c8-2ccc4440cc08', 'warehouse.requests', 1, 0, '\x8d72c6b10fadf796d90e2b8c92609ea7');
INSERT INTO warehouse.inbox VALUES ('751e67ae-d70c-50ef-b6e4-f4d1a2ea889e', 'warehouse.requests', 2, 0, '\x7a85c07d3d78d8858afa62136da6e0fe');
INSERT INTO warehouse.outbox VALUES (1, 'orders', NULL, '\x31', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42465326566323337382d333733382d356264372d383431382d63383035323633343364303892a763655f74797065c41473686f702e4f72646572536869707065642e763192a963655f736f75726365c40f2f73686f702f77617265686f75736592a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3192b063655f636f7272656c6174696f6e6964c4076561726c792f3192ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42462373334616164372d343363362d353864372d613263382d326363633434343063633038', '\x7b226f726465725f6964223a226561726c792f31222c22637573746f6d65725f6964223a2231222c226f7264657265645f6174223a22313939372d30332d33305430313a30303a30305a222c226974656d73223a317d', false);
INSERT INTO warehouse.outbox VALUES (2, 'orders', NULL, '\x32', '\x9992ae63655f7370656376657273696f6ec403312e3092a563655f6964c42461343463636439312d626465352d356139352d396232642d64356463373539643638313092a763655f74797065c41473686f702e4f72646572536869707065642e763192a963655f736f75726365c40f2f73686f702f77617265686f75736592a763655f74696d65c414313939372d30342d30325431323a30303a30305a92aa63655f7375626a656374c4076561726c792f3492b063655f636f7272656c6174696f6e6964c4076561726c792f3492ac636f6e74656e742d74797065c4106170706c69636174696f6e2f6a736f6e92ae63655f636175736174696f6e6964c42437353165363761652d643730632d353065662d623665342d663464316132656138383965', '\x7b226f726465725f6964223a226561726c792f34222c22637573746f6d65725f6964223a2232222c226f7264657265645f6174223a22313939372d30332d33305430343a30303a30305a222c226974656d73223a347d', false);
INSERT INTO warehouse.parcels VALUES ('early/1', '1', 1);
INSERT INTO warehouse.parcels VALUES ('early/4', '2', 4);
INSERT INTO warehouse.positions VALUES ('warehouse.requests', 1, 1, '1997-04-02T12:00:00.000000Z');
INSERT INTO warehouse.positions VALUES ('warehouse.requests', 2, 1, '1997-04-02T12:00:00.000000Z');
INSERT INTO warehouse.schema_version VALUES (2);
SELECT pg_catalog.setval('dead_letters.letter_actions_id_seq', 1, true);
SELECT pg_catalog.setval('dead_letters.letters_id_seq', 2, true);
SELECT pg_catalog.setval('dead_letters.outbox_id_seq', 1, false);
SELECT pg_catalog.setval('event_log.event_log_position_seq', 1, false);
SELECT pg_catalog.setval('event_log.outbox_id_seq', 1, true);
SELECT pg_catalog.setval('"order".outbox_id_seq', 7, true);
SELECT pg_catalog.setval('payment.account_events_id_seq', 5, true);
SELECT pg_catalog.setval('payment.outbox_id_seq', 6, true);
SELECT pg_catalog.setval('proofs.proofs_id_seq', 1, true);
SELECT pg_catalog.setval('warehouse.outbox_id_seq', 2, true);
ALTER TABLE ONLY dead_letters.cluster
    ADD CONSTRAINT cluster_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dead_letters.letter_actions
    ADD CONSTRAINT letter_actions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dead_letters.letters
    ADD CONSTRAINT letters_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dead_letters.letters
    ADD CONSTRAINT letters_topic_partition_offset_service_key UNIQUE (topic, partition, "offset", service);
ALTER TABLE ONLY dead_letters.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dead_letters.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (topic, partition);
ALTER TABLE ONLY event_log.cluster
    ADD CONSTRAINT cluster_pkey PRIMARY KEY (id);
ALTER TABLE ONLY event_log.event_log
    ADD CONSTRAINT event_log_event_id_key UNIQUE (event_id);
ALTER TABLE ONLY event_log.event_log
    ADD CONSTRAINT event_log_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY event_log.event_log
    ADD CONSTRAINT event_log_topic_partition_offset_key UNIQUE (topic, partition, "offset");
ALTER TABLE ONLY event_log.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY event_log.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (topic, partition);
ALTER TABLE ONLY event_log.repeats
    ADD CONSTRAINT repeats_pkey PRIMARY KEY (topic, partition, "offset");
ALTER TABLE ONLY event_log.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (service, process);
ALTER TABLE ONLY "order".cluster
    ADD CONSTRAINT cluster_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "order".early
    ADD CONSTRAINT early_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY "order".inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY "order".orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (order_id);
ALTER TABLE ONLY "order".outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "order".positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (topic, partition);
ALTER TABLE ONLY "order".requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (correlation_id);
ALTER TABLE ONLY "order".workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (service, process);
ALTER TABLE ONLY payment.account_events
    ADD CONSTRAINT account_events_order_id_key UNIQUE (order_id);
ALTER TABLE ONLY payment.account_events
    ADD CONSTRAINT account_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY payment.cluster
    ADD CONSTRAINT cluster_pkey PRIMARY KEY (id);
ALTER TABLE ONLY payment.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY payment.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY payment.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (topic, partition);
ALTER TABLE ONLY payment.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (service, process);
ALTER TABLE ONLY proofs.cluster
    ADD CONSTRAINT cluster_pkey PRIMARY KEY (id);
ALTER TABLE ONLY proofs.proofs
    ADD CONSTRAINT proofs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY report.cluster
    ADD CONSTRAINT cluster_pkey PRIMARY KEY (id);
ALTER TABLE ONLY report.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (customer_id, currency);
ALTER TABLE ONLY report.declines_by_month
    ADD CONSTRAINT declines_by_month_pkey PRIMARY KEY (month, currency, reason);
ALTER TABLE ONLY report.late_by_month
    ADD CONSTRAINT late_by_month_pkey PRIMARY KEY (month, currency, recorded, outcome);
ALTER TABLE ONLY report.order_stories
    ADD CONSTRAINT order_stories_pkey PRIMARY KEY (order_id);
ALTER TABLE ONLY report.projected
    ADD CONSTRAINT projected_pkey PRIMARY KEY (projection);
ALTER TABLE ONLY report.revenue_by_day
    ADD CONSTRAINT revenue_by_day_pkey PRIMARY KEY (day, currency, outcome);
ALTER TABLE ONLY report.revenue_growth
    ADD CONSTRAINT revenue_growth_pkey PRIMARY KEY (part, recorded, day, currency, outcome);
ALTER TABLE ONLY warehouse.cluster
    ADD CONSTRAINT cluster_pkey PRIMARY KEY (id);
ALTER TABLE ONLY warehouse.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY warehouse.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY warehouse.parcels
    ADD CONSTRAINT parcels_pkey PRIMARY KEY (order_id);
ALTER TABLE ONLY warehouse.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (topic, partition);
ALTER TABLE ONLY warehouse.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (service, process);
CREATE INDEX ix_letter_actions_topic ON dead_letters.letter_actions USING btree (topic);
CREATE INDEX ix_letters_topic ON dead_letters.letters USING btree (topic);
CREATE INDEX outbox_waiting ON dead_letters.outbox USING btree (id) WHERE (published IS FALSE);
CREATE INDEX ix_event_log_correlation_id ON event_log.event_log USING btree (correlation_id);
CREATE INDEX outbox_waiting ON event_log.outbox USING btree (id) WHERE (published IS FALSE);
CREATE INDEX ix_early_order_id ON "order".early USING btree (order_id);
CREATE INDEX ix_orders_state ON "order".orders USING btree (state);
CREATE INDEX ix_requests_order_id ON "order".requests USING btree (order_id);
CREATE INDEX ix_requests_state ON "order".requests USING btree (state);
CREATE INDEX outbox_waiting ON "order".outbox USING btree (id) WHERE (published IS FALSE);
CREATE INDEX ix_account_events_customer_id ON payment.account_events USING btree (customer_id);
CREATE INDEX outbox_waiting ON payment.outbox USING btree (id) WHERE (published IS FALSE);
CREATE INDEX ix_order_stories_amount ON report.order_stories USING btree (cents);
CREATE INDEX ix_order_stories_customer ON report.order_stories USING btree (customer_id, ordered_at, order_id, cents);
CREATE INDEX ix_order_stories_state ON report.order_stories USING btree (state, reason, ordered_at, order_id, cents);
CREATE INDEX ix_order_stories_time ON report.order_stories USING btree (ordered_at, order_id, cents);
CREATE INDEX outbox_waiting ON warehouse.outbox USING btree (id) WHERE (published IS FALSE);
CREATE TRIGGER letter_actions_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON dead_letters.letter_actions FOR EACH STATEMENT EXECUTE FUNCTION dead_letters.letter_actions_append_only();
ALTER TABLE dead_letters.letter_actions ENABLE ALWAYS TRIGGER letter_actions_append_only;
CREATE TRIGGER letters_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON dead_letters.letters FOR EACH STATEMENT EXECUTE FUNCTION dead_letters.letters_append_only();
ALTER TABLE dead_letters.letters ENABLE ALWAYS TRIGGER letters_append_only;
CREATE TRIGGER event_log_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON event_log.event_log FOR EACH STATEMENT EXECUTE FUNCTION event_log.event_log_append_only();
ALTER TABLE event_log.event_log ENABLE ALWAYS TRIGGER event_log_append_only;
CREATE TRIGGER proofs_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON proofs.proofs FOR EACH STATEMENT EXECUTE FUNCTION proofs.proofs_append_only();
ALTER TABLE proofs.proofs ENABLE ALWAYS TRIGGER proofs_append_only;
