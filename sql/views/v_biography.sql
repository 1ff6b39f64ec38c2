-- Every individual with the column names of SokweDB's BIOGRAPHY_DATA and of PLHDB, in small letters. One row: an individual.
-- age_y: years of 365.25 days, today (age_is 'today') or when it departed ('at departure'; 'when last observed' where only
-- the observation ended). matriline: AnimID of the first known mother of its line; generation: 0 for her.
-- comm: where it belongs today, or belonged last. One that was merged into another is left out.
SELECT
    d.individual_id,
    d.anim_id AS animid,
    d.name AS animname,
    d.sex,
    i.birth_date AS birthdate,
    i.bd_min AS bdmin,
    i.bd_max AS bdmax,
    i.bd_dist AS bddist,
    birth_community.comm_id AS birthcomm,
    i.bg_qual AS bgqual,
    mother.anim_id AS momid,
    father.anim_id AS dadid,
    i.first_born AS firstborn,
    i.entry_date AS entrydate,
    i.entry_type AS entrytype,
    i.depart_date AS departdate,
    i.depart_date_error AS departdateerror,
    i.depart_type AS departtype,
    (
        COALESCE(
            d.depart_day_no,
            1461 * (t.y + 4800 + (t.m - 14) / 12) / 4
            + 367 * (t.m - 2 - (t.m - 14) / 12 * 12) / 12
            - 3 * ((t.y + 4900 + (t.m - 14) / 12) / 100) / 4
            + t.d - 32075
        ) - d.born_day_no
    ) / CAST(365.25 AS FLOAT) AS age_y,
    CASE
        WHEN d.born_day_no IS NULL THEN NULL
        WHEN d.depart_day_no IS NULL THEN 'today'
        WHEN d.depart_type = 'O' THEN 'when last observed'
        ELSE 'at departure'
    END AS age_is,
    l.matriline,
    l.generation,
    (
        SELECT MIN(cm.comm_id)
        FROM v_membership_day AS cm
        WHERE
            cm.individual_id = d.individual_id
            AND NOT EXISTS (
                SELECT 1
                FROM v_membership_day AS later
                WHERE later.individual_id = cm.individual_id AND later.start_day > cm.start_day
            )
    ) AS comm,
    CAST(i.provisional AS INTEGER) AS provisional
FROM v_individual_day AS d
INNER JOIN individual AS i ON i.individual_id = d.individual_id
LEFT OUTER JOIN individual AS mother ON mother.individual_id = d.mom_id
LEFT OUTER JOIN individual AS father ON father.individual_id = d.dad_id
LEFT OUTER JOIN community AS birth_community ON birth_community.community_id = i.birth_community_id
LEFT OUTER JOIN v_matriline AS l ON l.individual_id = d.individual_id
CROSS JOIN (
    SELECT
        CAST(SUBSTRING(CAST(CURRENT_DATE AS VARCHAR(10)), 1, 4) AS INTEGER) AS y,
        CAST(SUBSTRING(CAST(CURRENT_DATE AS VARCHAR(10)), 6, 2) AS INTEGER) AS m,
        CAST(SUBSTRING(CAST(CURRENT_DATE AS VARCHAR(10)), 9, 2) AS INTEGER) AS d
) AS t
