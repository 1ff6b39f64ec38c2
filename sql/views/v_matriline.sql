-- Who descends from whom by the mother's line. One row: an individual, with the first known mother of its line (herself or
-- himself where no mother is known) and how many generations below her it is.
-- From the founders down, so that a circle in what was recorded ends nothing: its members are just not there.
WITH RECURSIVE line (individual_id, founder_id, generation) AS (
    SELECT
        i.individual_id,
        i.individual_id AS founder_id,
        0 AS generation
    FROM individual AS i
    WHERE i.mom_id IS NULL AND i.same_as_id IS NULL
    UNION ALL
    SELECT
        c.individual_id,
        l.founder_id,
        l.generation + 1 AS generation
    FROM line AS l
    INNER JOIN individual AS m ON m.individual_id = l.individual_id OR m.same_as_id = l.individual_id
    INNER JOIN individual AS c ON c.mom_id = m.individual_id AND c.same_as_id IS NULL
)

SELECT
    line.individual_id,
    line.founder_id,
    f.anim_id AS matriline,
    line.generation
FROM line
INNER JOIN individual AS f ON f.individual_id = line.founder_id
