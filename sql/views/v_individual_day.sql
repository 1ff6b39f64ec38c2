-- The dates of each individual as day numbers (those of v_video_day). One row: an individual; one that was merged into
-- another is left out, and whoever had it as a parent has the other.
-- from_day_no, until_day_no: between them it was alive and under study, as far as anybody knows (entry, else birth, else
-- always; departure, else still). depart_latest_day_no adds the error of the departure.
SELECT
    q.individual_id,
    q.anim_id,
    q.name,
    q.sex,
    q.mom_id,
    q.dad_id,
    q.birth_day_no,
    q.bd_min_day_no,
    q.bd_max_day_no,
    q.entry_day_no,
    q.depart_day_no,
    q.depart_type,
    q.depart_day_no + COALESCE(CAST(q.depart_date_error AS FLOAT), 0) * 365.25 AS depart_latest_day_no,
    COALESCE(q.entry_day_no, q.bd_min_day_no, q.birth_day_no, 0) AS from_day_no,
    COALESCE(q.depart_day_no, 9999999) AS until_day_no,
    COALESCE(q.birth_day_no, (q.bd_min_day_no + q.bd_max_day_no) / 2) AS born_day_no,
    COALESCE(q.bd_min_day_no, q.birth_day_no) AS born_first_day_no,
    COALESCE(q.bd_max_day_no, q.birth_day_no) AS born_last_day_no
FROM (
    SELECT
        p.*,
        1461 * (p.birth_y + 4800 + (p.birth_m - 14) / 12) / 4
        + 367 * (p.birth_m - 2 - (p.birth_m - 14) / 12 * 12) / 12
        - 3 * ((p.birth_y + 4900 + (p.birth_m - 14) / 12) / 100) / 4
        + p.birth_d - 32075 AS birth_day_no,
        1461 * (p.bd_min_y + 4800 + (p.bd_min_m - 14) / 12) / 4
        + 367 * (p.bd_min_m - 2 - (p.bd_min_m - 14) / 12 * 12) / 12
        - 3 * ((p.bd_min_y + 4900 + (p.bd_min_m - 14) / 12) / 100) / 4
        + p.bd_min_d - 32075 AS bd_min_day_no,
        1461 * (p.bd_max_y + 4800 + (p.bd_max_m - 14) / 12) / 4
        + 367 * (p.bd_max_m - 2 - (p.bd_max_m - 14) / 12 * 12) / 12
        - 3 * ((p.bd_max_y + 4900 + (p.bd_max_m - 14) / 12) / 100) / 4
        + p.bd_max_d - 32075 AS bd_max_day_no,
        1461 * (p.entry_y + 4800 + (p.entry_m - 14) / 12) / 4
        + 367 * (p.entry_m - 2 - (p.entry_m - 14) / 12 * 12) / 12
        - 3 * ((p.entry_y + 4900 + (p.entry_m - 14) / 12) / 100) / 4
        + p.entry_d - 32075 AS entry_day_no,
        1461 * (p.depart_y + 4800 + (p.depart_m - 14) / 12) / 4
        + 367 * (p.depart_m - 2 - (p.depart_m - 14) / 12 * 12) / 12
        - 3 * ((p.depart_y + 4900 + (p.depart_m - 14) / 12) / 100) / 4
        + p.depart_d - 32075 AS depart_day_no
    FROM (
        SELECT
            i.individual_id,
            i.anim_id,
            i.name,
            i.sex,
            COALESCE(mother.same_as_id, i.mom_id) AS mom_id,
            COALESCE(father.same_as_id, i.dad_id) AS dad_id,
            i.depart_type,
            i.depart_date_error,
            CAST(SUBSTRING(CAST(i.birth_date AS VARCHAR(10)), 1, 4) AS INTEGER) AS birth_y,
            CAST(SUBSTRING(CAST(i.birth_date AS VARCHAR(10)), 6, 2) AS INTEGER) AS birth_m,
            CAST(SUBSTRING(CAST(i.birth_date AS VARCHAR(10)), 9, 2) AS INTEGER) AS birth_d,
            CAST(SUBSTRING(CAST(i.bd_min AS VARCHAR(10)), 1, 4) AS INTEGER) AS bd_min_y,
            CAST(SUBSTRING(CAST(i.bd_min AS VARCHAR(10)), 6, 2) AS INTEGER) AS bd_min_m,
            CAST(SUBSTRING(CAST(i.bd_min AS VARCHAR(10)), 9, 2) AS INTEGER) AS bd_min_d,
            CAST(SUBSTRING(CAST(i.bd_max AS VARCHAR(10)), 1, 4) AS INTEGER) AS bd_max_y,
            CAST(SUBSTRING(CAST(i.bd_max AS VARCHAR(10)), 6, 2) AS INTEGER) AS bd_max_m,
            CAST(SUBSTRING(CAST(i.bd_max AS VARCHAR(10)), 9, 2) AS INTEGER) AS bd_max_d,
            CAST(SUBSTRING(CAST(i.entry_date AS VARCHAR(10)), 1, 4) AS INTEGER) AS entry_y,
            CAST(SUBSTRING(CAST(i.entry_date AS VARCHAR(10)), 6, 2) AS INTEGER) AS entry_m,
            CAST(SUBSTRING(CAST(i.entry_date AS VARCHAR(10)), 9, 2) AS INTEGER) AS entry_d,
            CAST(SUBSTRING(CAST(i.depart_date AS VARCHAR(10)), 1, 4) AS INTEGER) AS depart_y,
            CAST(SUBSTRING(CAST(i.depart_date AS VARCHAR(10)), 6, 2) AS INTEGER) AS depart_m,
            CAST(SUBSTRING(CAST(i.depart_date AS VARCHAR(10)), 9, 2) AS INTEGER) AS depart_d
        FROM individual AS i
        LEFT OUTER JOIN individual AS mother ON mother.individual_id = i.mom_id
        LEFT OUTER JOIN individual AS father ON father.individual_id = i.dad_id
        WHERE i.same_as_id IS NULL
    ) AS p
) AS q
