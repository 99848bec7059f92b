CREATE TABLE domains (domain text PRIMARY KEY);
INSERT INTO domains VALUES ('lists.example'), ('later.example'), ('after.example');
CREATE TABLE addresses (address text PRIMARY KEY);
INSERT INTO addresses VALUES ('bob@people.example');
CREATE TABLE networks (network inet);
INSERT INTO networks VALUES ('192.0.2.0/28');
CREATE TABLE users (name text PRIMARY KEY, hash text);
-- correct-horse, and pencil
INSERT INTO users VALUES ('alice', '$6$abcdefgh$Y8X4fK8dzckng/fIjIaMbhSI.0pb8jFFSN/J/PpH0DRCfCv16PIDicIrPVJ7EyzvvLxpGoKT/B4/my3gDKmFj0');
INSERT INTO users VALUES ('bob', 'SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$nQpbZ77WudtqufPwikHXGRt6g2QJ4zns8bZLw273DRM=:jn2amWP1q1h+jgjy0YTO14S6/F02SV7taipOeB7ef20=');
CREATE TABLE owners (name text, address text);
INSERT INTO owners VALUES ('alice', 'alice@src.example'), ('alice', '@alice.example');
