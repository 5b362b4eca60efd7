BEGIN TRANSACTION;
CREATE TABLE pipeline_attempt (
	id INTEGER NOT NULL, 
	task_run INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	started VARCHAR(32) NOT NULL, 
	outcome VARCHAR(20) NOT NULL, 
	finished VARCHAR(32), 
	failure_kind VARCHAR(20), 
	message TEXT NOT NULL, 
	properties JSON NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (task_run, number), 
	FOREIGN KEY(task_run) REFERENCES pipeline_task_run (id)
);
INSERT INTO "pipeline_attempt" VALUES(1,1,1,'2026-01-02T03:04:07.000000+00:00','passed','2026-01-02T03:04:09.000000+00:00',NULL,'','{"cost_usd": "0.25", "branch": "b"}');
INSERT INTO "pipeline_attempt" VALUES(2,3,1,'2026-01-02T03:04:07.000000+00:00','running',NULL,NULL,'','{}');
CREATE TABLE pipeline_fact (
	id INTEGER NOT NULL, 
	session VARCHAR(100) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(session) REFERENCES pipeline_session (id)
);
INSERT INTO "pipeline_fact" VALUES(1,'20260102-030405-aaaaaa','agent','reference');
INSERT INTO "pipeline_fact" VALUES(2,'20260102-030405-aaaaaa','plans','plans/hello.md 0123456789abcdef');
INSERT INTO "pipeline_fact" VALUES(3,'20260102-040405-bbbbbb','agent','reference');
INSERT INTO "pipeline_fact" VALUES(4,'20260102-040405-bbbbbb','plans','plans/hello.md 0123456789abcdef');
CREATE TABLE pipeline_run (
	id INTEGER NOT NULL, 
	session VARCHAR(100) NOT NULL, 
	number INTEGER NOT NULL, 
	admitted INTEGER NOT NULL, 
	started VARCHAR(32) NOT NULL, 
	outcome VARCHAR(20) NOT NULL, 
	finished VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (session, number), 
	UNIQUE (session, admitted), 
	FOREIGN KEY(session) REFERENCES pipeline_session (id)
);
INSERT INTO "pipeline_run" VALUES(1,'20260102-030405-aaaaaa',1,1,'2026-01-02T03:04:06.000000+00:00','passed','2026-01-02T03:04:10.000000+00:00');
INSERT INTO "pipeline_run" VALUES(2,'20260102-040405-bbbbbb',1,1,'2026-01-02T03:04:06.000000+00:00','running',NULL);
CREATE TABLE pipeline_session (
	id VARCHAR(100) NOT NULL, 
	started VARCHAR(32) NOT NULL, 
	required INTEGER NOT NULL, 
	count INTEGER NOT NULL, 
	finished VARCHAR(32), 
	streak INTEGER, 
	met BOOLEAN, 
	exit_code INTEGER, 
	PRIMARY KEY (id)
);
INSERT INTO "pipeline_session" VALUES('20260102-030405-aaaaaa','2026-01-02T03:04:05.000000+00:00',1,1,'2026-01-02T03:04:11.000000+00:00',1,1,0);
INSERT INTO "pipeline_session" VALUES('20260102-040405-bbbbbb','2026-01-02T03:04:05.000000+00:00',1,1,NULL,NULL,NULL,NULL);
CREATE TABLE pipeline_step (
	id INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	started VARCHAR(32) NOT NULL, 
	finished VARCHAR(32), 
	outcome VARCHAR(20) NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(attempt) REFERENCES pipeline_attempt (id)
);
INSERT INTO "pipeline_step" VALUES(1,1,'prepare','2026-01-02T03:04:07.000000+00:00','2026-01-02T03:04:08.000000+00:00','passed','');
INSERT INTO "pipeline_step" VALUES(2,2,'prepare','2026-01-02T03:04:07.000000+00:00','2026-01-02T03:04:08.000000+00:00','passed','');
INSERT INTO "pipeline_step" VALUES(3,2,'agent','2026-01-02T03:04:09.000000+00:00',NULL,'running','');
CREATE TABLE pipeline_store (
	version INTEGER NOT NULL, 
	made_by VARCHAR(100) NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "pipeline_store" VALUES(1,'pytest-pipeline 0.1.0');
CREATE TABLE pipeline_task_run (
	id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	"plan" VARCHAR(400) NOT NULL, 
	batch VARCHAR(150) NOT NULL, 
	task VARCHAR(150) NOT NULL, 
	title TEXT NOT NULL, 
	skipped VARCHAR(20), 
	reason TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (run, "plan", batch, task), 
	FOREIGN KEY(run) REFERENCES pipeline_run (id)
);
INSERT INTO "pipeline_task_run" VALUES(1,1,'plans/hello.md','1','1.1','Create hello.txt',NULL,'');
INSERT INTO "pipeline_task_run" VALUES(2,1,'plans/hello.md','1','1.2','Done before','completed','The plan says that it is completed.');
INSERT INTO "pipeline_task_run" VALUES(3,2,'plans/hello.md','1','1.1','Create hello.txt',NULL,'');
CREATE INDEX ix_pipeline_fact_session ON pipeline_fact (session);
CREATE INDEX ix_pipeline_step_attempt ON pipeline_step (attempt);
COMMIT;
