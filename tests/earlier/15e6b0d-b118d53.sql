-- report
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE cluster (
	id VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE "customers" (
	customer_id VARCHAR NOT NULL, 
	currency VARCHAR NOT NULL, 
	first_purchase VARCHAR, 
	orders INTEGER NOT NULL, 
	repeat_purchases INTEGER NOT NULL, 
	accepted_cents INTEGER NOT NULL, 
	last_purchase VARCHAR, 
	PRIMARY KEY (customer_id, currency)
);
INSERT INTO "customers" VALUES('1','USD','1997-03-30T01:00:00.000000Z',2,0,10000,'1997-03-30T01:00:00.000000Z');
INSERT INTO "customers" VALUES('97','USD',NULL,1,0,0,NULL);
INSERT INTO "customers" VALUES('2','USD','1997-03-30T04:00:00.000000Z',1,0,1177,'1997-03-30T04:00:00.000000Z');
CREATE TABLE "declines_by_month" (
	month VARCHAR NOT NULL, 
	currency VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	orders INTEGER NOT NULL, 
	cents INTEGER NOT NULL, 
	PRIMARY KEY (month, currency, reason)
);
INSERT INTO "declines_by_month" VALUES('1997-03','USD','no_funds',1,20100);
INSERT INTO "declines_by_month" VALUES('1997-03','USD','account_closed',1,500);
CREATE TABLE late_by_month (
	month VARCHAR NOT NULL, 
	currency VARCHAR NOT NULL, 
	recorded VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	orders INTEGER NOT NULL, 
	cents INTEGER NOT NULL, 
	PRIMARY KEY (month, currency, recorded, outcome)
);
CREATE TABLE "order_stories" (
	order_id VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	reason VARCHAR, 
	cents INTEGER, 
	currency VARCHAR, 
	customer_id VARCHAR NOT NULL, 
	ordered_at VARCHAR NOT NULL, 
	placed_position INTEGER, 
	placed_at VARCHAR, 
	authorized_position INTEGER, 
	authorized_at VARCHAR, 
	shipped_position INTEGER, 
	shipped_at VARCHAR, 
	PRIMARY KEY (order_id)
)
 WITHOUT ROWID

;
INSERT INTO "order_stories" VALUES('early/1','accepted',NULL,10000,'USD','1','1997-03-30T01:00:00.000000Z',1,'1997-04-02T12:00:00.000000Z',5,'1997-04-02T12:00:00.000000Z',NULL,NULL);
INSERT INTO "order_stories" VALUES('early/2','declined','no_funds',20100,'USD','1','1997-03-30T02:00:00.000000Z',2,'1997-04-02T12:00:00.000000Z',6,'1997-04-02T12:00:00.000000Z',NULL,NULL);
INSERT INTO "order_stories" VALUES('early/3','declined','account_closed',500,'USD','97','1997-03-30T03:00:00.000000Z',3,'1997-04-02T12:00:00.000000Z',7,'1997-04-02T12:00:00.000000Z',NULL,NULL);
INSERT INTO "order_stories" VALUES('early/4','accepted',NULL,1177,'USD','2','1997-03-30T04:00:00.000000Z',4,'1997-04-02T12:00:00.000000Z',8,'1997-04-02T12:00:00.000000Z',NULL,NULL);
CREATE TABLE projected (
	projection VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	hash BLOB NOT NULL, 
	PRIMARY KEY (projection)
);
INSERT INTO "projected" VALUES('customers',8,X'BF8680415D1796F32683A309B31A6AAE41663BC3DC889E0FA08D52D420B09DAF');
INSERT INTO "projected" VALUES('declines',8,X'BF8680415D1796F32683A309B31A6AAE41663BC3DC889E0FA08D52D420B09DAF');
INSERT INTO "projected" VALUES('revenue',8,X'BF8680415D1796F32683A309B31A6AAE41663BC3DC889E0FA08D52D420B09DAF');
INSERT INTO "projected" VALUES('stories',8,X'BF8680415D1796F32683A309B31A6AAE41663BC3DC889E0FA08D52D420B09DAF');
CREATE TABLE replayed (
	projection VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	hash BLOB NOT NULL, 
	refused BOOLEAN NOT NULL, 
	PRIMARY KEY (projection)
);
CREATE TABLE "revenue_by_day" (
	day VARCHAR NOT NULL, 
	currency VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	orders INTEGER NOT NULL, 
	cents INTEGER NOT NULL, 
	PRIMARY KEY (day, currency, outcome)
);
INSERT INTO "revenue_by_day" VALUES('1997-03-30','USD','accepted',2,11177);
INSERT INTO "revenue_by_day" VALUES('1997-03-30','USD','no_funds',1,20100);
INSERT INTO "revenue_by_day" VALUES('1997-03-30','USD','account_closed',1,500);
CREATE TABLE revenue_growth (
	part VARCHAR NOT NULL, 
	recorded VARCHAR NOT NULL, 
	day VARCHAR NOT NULL, 
	currency VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	orders INTEGER NOT NULL, 
	cents INTEGER NOT NULL, 
	PRIMARY KEY (part, recorded, day, currency, outcome)
);
CREATE INDEX ix_order_stories_replay_customer_id_0b81b610 ON "order_stories" (customer_id);
CREATE INDEX ix_order_stories_replay_ordered_at_0b81b610 ON "order_stories" (ordered_at);
COMMIT;
