-- report
PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE cluster (
	id VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE projected (
	projection VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	hash BLOB NOT NULL, 
	PRIMARY KEY (projection)
);
INSERT INTO "projected" VALUES('revenue',8,X'BF8680415D1796F32683A309B31A6AAE41663BC3DC889E0FA08D52D420B09DAF');
CREATE TABLE revenue_by_day (
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
COMMIT;
