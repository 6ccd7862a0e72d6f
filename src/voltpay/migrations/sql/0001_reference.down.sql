drop schema reference cascade;
