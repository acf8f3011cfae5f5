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
CREATE SCHEMA report;
SET default_tablespace = '';
SET default_table_access_method = heap;
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
CREATE INDEX ix_order_stories_amount ON report.order_stories USING btree (cents);
CREATE INDEX ix_order_stories_customer ON report.order_stories USING btree (customer_id, ordered_at, order_id, cents);
CREATE INDEX ix_order_stories_state ON report.order_stories USING btree (state, reason, ordered_at, order_id, cents);
CREATE INDEX ix_order_stories_time ON report.order_stories USING btree (ordered_at, order_id, cents);
