drop schema routing cascade;
