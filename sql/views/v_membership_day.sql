-- Who belonged to which community from which day to which. One row: a membership; days are text like 2013-05-06.
-- A membership of somebody who was merged counts for whom it was merged into. end_day: 9999-12-31 where it has no end.
SELECT
    m.membership_id,
    COALESCE(i.same_as_id, m.individual_id) AS individual_id,
    m.community_id,
    c.comm_id,
    m.start_date,
    m.end_date,
    CAST(m.start_date AS VARCHAR(10)) AS start_day,
    COALESCE(CAST(m.end_date AS VARCHAR(10)), '9999-12-31') AS end_day
FROM community_membership AS m
INNER JOIN individual AS i ON i.individual_id = m.individual_id
INNER JOIN community AS c ON c.community_id = m.community_id
