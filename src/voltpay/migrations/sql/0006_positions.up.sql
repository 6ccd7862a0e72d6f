-- Where on payment.settled the fact stood at its first posting; 0 for what was posted before this.
alter table ledger.payment add column position bigint not null default 0;
