alter table ledger.payment drop column position;
