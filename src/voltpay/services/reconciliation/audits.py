"""What the database itself can tell does not add up: each a statement that finds nothing."""

from typing import Final

AUDITS: Final = {
    "unbalanced entry": """
        select payment_id::text as who,
               format('postings sum to %s in currency %s', sum(amount_minor), currency) as detail
          from ledger.posting where {window}
         group by payment_id, kind, currency having sum(amount_minor) <> 0""",
    "missing posting": """
        select p.payment_id::text as who,
               format('the account''s leg is %s, the payment %s', q.amount_minor, p.amount_minor)
                   as detail
          from ledger.payment p
          left join (select payment_id, account_id, sum(amount_minor) as amount_minor
                       from ledger.posting where {window} group by 1, 2) q
            on q.payment_id = p.payment_id and q.account_id = p.account_id
         where {window_p} and q.amount_minor is distinct from
                              case when p.executed then -p.amount_minor end
           and p.payment_id not in (select payment_id from ledger.payment where {window}
                                     group by payment_id having count(*) > 1)""",
    "stray posting": """
        select distinct q.payment_id::text as who, 'legs without a payment of that day' as detail
          from ledger.posting q
         where {window_q} and not exists (
               select from ledger.payment p where p.payment_id = q.payment_id and p.day = q.day)""",
    "posted twice": """
        select payment_id::text as who, format('%s rows', count(*)) as detail
          from ledger.payment where {window} group by payment_id having count(*) > 1""",
    "doubled posting": """
        select payment_id::text as who, format('%s legs on one account', max(legs)) as detail
          from (select payment_id, count(*) as legs from ledger.posting where {window}
                 group by payment_id, kind, account_id having count(*) > 1) as doubled
         group by payment_id""",
    "wrong balance": """
        select a.name as who,
               format('balance %s, postings %s', b.amount_minor, q.amount_minor) as detail
          from ledger.balance b
          full join (select account_id, currency, slot, sum(amount_minor) as amount_minor
                       from ledger.posting group by 1, 2, 3) q using (account_id, currency, slot)
          join reference.account a on a.id = account_id
         where b.amount_minor is distinct from coalesce(q.amount_minor, 0)""",
    "sequence gap": """
        select a.name as who, format('%s postings, numbered %s to %s, last by balance %s',
                                     q.count, q.first, q.last, b.sequence) as detail
          from (select account_id, currency, slot, count(*) as count,
                       min(sequence) as first, max(sequence) as last,
                       count(distinct sequence) as distinct_count
                  from ledger.posting group by 1, 2, 3) q
          join ledger.balance b using (account_id, currency, slot)
          join reference.account a on a.id = account_id
         where q.first <> 1 or q.last <> q.count or q.distinct_count <> q.count
            or b.sequence <> q.last""",
    "out of order": """
        select a.name as who,
               format('posting %s stood at %s of the log, the one before at %s',
                      p.sequence, p.position, p.before) as detail
          from (select account_id, sequence, position, lag(position) over (
                           partition by account_id, currency, partition order by sequence) as before
                  from ledger.payment where executed and position > 0) p
          join reference.account a on a.id = p.account_id
         where p.position <= p.before""",
    "wrong summary": """
        with fold as (
            select t.tier, p.currency, date_trunc(t.unit, p.requested_at at time zone 'UTC')
                       at time zone 'UTC' as at, p.processor,
                   count(*) as count, sum(p.amount_minor) as amount_minor
              from inquiry.payment p
             cross join (values (1, 'second'), (2, 'minute'), (3, 'hour'), (4, 'day'))
                   as t (tier, unit)
             where p.executed group by 1, 2, 3, 4),
        kept as (
            select tier, currency, at, processor,
                   sum(count) as count, sum(amount_minor) as amount_minor
              from inquiry.bucket group by 1, 2, 3, 4)
        select format('%s tier %s at %s', processor, tier, at) as who,
               format('bucket %s payments of %s, payments %s of %s',
                      k.count, k.amount_minor, f.count, f.amount_minor) as detail
          from fold f full join kept k using (tier, currency, at, processor)
         where (f.count, f.amount_minor) is distinct from (k.count, k.amount_minor)""",
    "read balance": """
        with books as (
            select substr(a.name, length('customer:') + 1) as account, b.currency,
                   sum(b.amount_minor) as amount_minor
              from ledger.balance b join reference.account a on a.id = b.account_id
             where a.name like 'customer:%' group by 1, 2),
        seen as (
            select account, currency, sum(amount_minor) as amount_minor
              from inquiry.balance group by 1, 2)
        select account as who,
               format('read model %s, ledger %s', s.amount_minor, k.amount_minor) as detail
          from books k full join seen s using (account, currency)
         where coalesce(k.amount_minor, 0) <> coalesce(s.amount_minor, 0)""",
}
"""By kind of difference. `{window}` bounds the days, `{window_p}` those of the table called p, and
so on; statements without it look at all."""

OF_READ_MODEL: Final = frozenset({"wrong summary", "read balance"})
"""Audits that hold only once the projection has caught up."""
