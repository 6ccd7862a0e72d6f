drop type inquiry.fact;
drop type routing.outcome;
drop type routing.wish;
