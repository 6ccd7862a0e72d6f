drop schema if exists inquiry_next cascade;
drop schema inquiry cascade;
