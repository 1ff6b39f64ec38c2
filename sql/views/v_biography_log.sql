-- What was changed in the biography of whom, by whom, when and why (SokweDB's BIOGRAPHY_LOG). One row: a change.
-- anim_id is that of the individual the change was made to, also where it was merged into another since.
SELECT
    b.log_id,
    b.individual_id,
    i.anim_id,
    b.made_at,
    u.name AS made_by,
    b.description,
    b.rationale
FROM biography_log AS b
INNER JOIN individual AS i ON i.individual_id = b.individual_id
LEFT OUTER JOIN app_user AS u ON u.user_id = b.user_id
