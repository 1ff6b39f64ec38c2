-- From which probability on a name of the champion head counts as one. One row where a promise about names holds
-- (v_promise), none otherwise: then names count from 0.9.
SELECT
    k.threshold AS probability,
    k.look_id,
    k.frozen_at
FROM v_promise AS k
WHERE k.state = 'kept'
