-- Where and when were members of two communities filmed by one camera on one day?
--
-- One row: a camera and a day with members of two communities, as the memberships of that day say, the newest first.
--
-- Parameters:
--   limit integer = 40: at most this many rows
--
-- Topic: company
--
-- Neighbours at the border, an immigration that nobody recorded, or a wrong name: look at the videos.
SELECT
    ranked.place,
    ranked.day,
    ranked.site,
    ranked.camera,
    ranked.community_a,
    ranked.n_a,
    ranked.community_b,
    ranked.n_b
FROM (
    SELECT
        g.day,
        g.site,
        g.camera,
        g.community_a,
        g.community_b,
        g.n_a,
        g.n_b,
        ROW_NUMBER() OVER (ORDER BY g.day DESC, g.camera, g.site, g.community_a, g.community_b) AS place
    FROM (
        SELECT
            a.day,
            a.site,
            a.camera,
            a.comm_id AS community_a,
            b.comm_id AS community_b,
            COUNT(DISTINCT a.individual_id) AS n_a,
            COUNT(DISTINCT b.individual_id) AS n_b
        FROM (
            SELECT
                p.party_id,
                p.site,
                p.camera,
                d.day,
                p.individual_id,
                m.comm_id
            FROM v_party_member AS p
            INNER JOIN v_video_day AS d ON d.video_id = p.party_id
            INNER JOIN v_membership_day AS m
                ON m.individual_id = p.individual_id AND d.day >= m.start_day AND d.day <= m.end_day
        ) AS a
        INNER JOIN (
            SELECT
                q.party_id,
                q.individual_id,
                n.comm_id
            FROM v_party_member AS q
            INNER JOIN v_video_day AS e ON e.video_id = q.party_id
            INNER JOIN v_membership_day AS n
                ON n.individual_id = q.individual_id AND e.day >= n.start_day AND e.day <= n.end_day
        ) AS b ON b.party_id = a.party_id AND b.comm_id > a.comm_id
        GROUP BY a.day, a.site, a.camera, a.comm_id, b.comm_id
    ) AS g
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
