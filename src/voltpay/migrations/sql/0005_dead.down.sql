drop schema dead cascade;
