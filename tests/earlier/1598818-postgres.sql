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
CREATE SCHEMA event_log;
CREATE SCHEMA report;
CREATE FUNCTION event_log.event_log_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the event log is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
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
ALTER TABLE ONLY event_log.event_log ALTER COLUMN "position" SET DEFAULT nextval('event_log.event_log_position_seq'::regclass);
ALTER TABLE ONLY event_log.outbox ALTER COLUMN id SET DEFAULT nextval('event_log.outbox_id_seq'::regclass);
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
SELECT pg_catalog.setval('event_log.event_log_position_seq', 1, false);
SELECT pg_catalog.setval('event_log.outbox_id_seq', 1, true);
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
CREATE INDEX ix_event_log_correlation_id ON event_log.event_log USING btree (correlation_id);
CREATE INDEX outbox_waiting ON event_log.outbox USING btree (id) WHERE (published IS FALSE);
CREATE INDEX ix_order_stories_customer_id ON report.order_stories USING btree (customer_id);
CREATE INDEX ix_order_stories_ordered_at ON report.order_stories USING btree (ordered_at);
CREATE TRIGGER event_log_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON event_log.event_log FOR EACH STATEMENT EXECUTE FUNCTION event_log.event_log_append_only();
ALTER TABLE event_log.event_log ENABLE ALWAYS TRIGGER event_log_append_only;
