-- Version 2: the words of texts go from value, a row and so a page each, into an
-- inverted index, which takes those of a commit as one segment. A word is
-- written slot_word; only white space separates.
CREATE VIRTUAL TABLE words USING fts5(w, content = '', contentless_delete = 1, detail = none,
	tokenize = "ascii tokenchars '!""#$%&''()*+,-./:;<=>?@[\]^_`{|}~'");
INSERT INTO words (rowid, w) SELECT rid, group_concat(slot || '_' || a, ' ') FROM value
	WHERE slot IN (SELECT id FROM slot WHERE kind = 3 AND qualifier = char(0)) GROUP BY rid;
DELETE FROM value WHERE slot IN (SELECT id FROM slot WHERE kind = 3 AND qualifier = char(0));
