-- Which females came from elsewhere, how old were they, and how much have they been seen since?
--
-- One row: a female whose biography says that she immigrated, by the date of her entry.
--
-- Parameters: none
--
-- Topic: presence
--
-- first_seen before her entry is a date or a name to look at (implausible_sightings). n_partners: others in one video with
-- her; n_offspring: children that the biographies give her.
SELECT
    b.animid AS anim_id,
    b.entrydate,
    b.comm,
    (i.entry_day_no - i.born_day_no) / CAST(365.25 AS FLOAT) AS age_at_entry_y,
    l.first_seen,
    l.last_seen,
    l.n_days_seen,
    COALESCE(p.n_partners, 0) AS n_partners,
    (
        SELECT COUNT(*)
        FROM v_individual_day AS c
        WHERE c.mom_id = i.individual_id
    ) AS n_offspring
FROM v_biography AS b
INNER JOIN v_individual_day AS i ON i.individual_id = b.individual_id
INNER JOIN v_dispersal_last_seen AS l ON l.individual_id = b.individual_id
LEFT OUTER JOIN (
    SELECT
        s.individual_id,
        COUNT(DISTINCT o.individual_id) AS n_partners
    FROM v_sighting AS s
    INNER JOIN v_sighting AS o ON o.video_id = s.video_id AND o.individual_id <> s.individual_id
    GROUP BY s.individual_id
) AS p ON p.individual_id = b.individual_id
WHERE b.sex = 'F' AND b.entrytype = 'I'
ORDER BY b.entrydate, b.animid
