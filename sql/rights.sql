-- The rights that migrations and projections lead to, a statement a line, as list_rights.sql lists
-- them. Written by `python -m tests.sql.rights`.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC
ALTER TABLE public.accounts ENABLE ROW LEVEL SECURITY
ALTER TABLE public.analyst_accounts ENABLE ROW LEVEL SECURITY
ALTER TABLE public.courses ENABLE ROW LEVEL SECURITY
ALTER TABLE public.enrollments ENABLE ROW LEVEL SECURITY
ALTER TABLE public.event_content ENABLE ROW LEVEL SECURITY
ALTER TABLE public.events ENABLE ROW LEVEL SECURITY
ALTER TABLE public.id_counters ENABLE ROW LEVEL SECURITY
ALTER TABLE public.identities ENABLE ROW LEVEL SECURITY
ALTER TABLE public.key_rotations ENABLE ROW LEVEL SECURITY
ALTER TABLE public.log_heads ENABLE ROW LEVEL SECURITY
ALTER TABLE public.log_origins ENABLE ROW LEVEL SECURITY
ALTER TABLE public.projection_checkpoints ENABLE ROW LEVEL SECURITY
ALTER TABLE public.request_secrets ENABLE ROW LEVEL SECURITY
ALTER TABLE public.tokens ENABLE ROW LEVEL SECURITY
ALTER TABLE public.tree_heads ENABLE ROW LEVEL SECURITY
ALTER TABLE public.tree_tiles ENABLE ROW LEVEL SECURITY
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY
CREATE POLICY account_applied ON public.events FOR SELECT TO colloquy_projector USING ((account_id = ( SELECT current_account_v1() AS current_account_v1)))
CREATE POLICY account_entered ON public.accounts FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.analyst_accounts FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.courses FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.enrollments FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.event_content FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.events FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.id_counters FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.identities FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.key_rotations FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.log_heads FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.log_origins FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.projection_checkpoints FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.tokens FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.tree_heads FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.tree_tiles FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_entered ON public.users FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()))
CREATE POLICY account_granted ON public.accounts FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.analyst_accounts FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.courses FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.enrollments FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.event_content FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.events FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.id_counters FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.identities FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.key_rotations FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.log_heads FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.log_origins FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.projection_checkpoints FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.tokens FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.tree_heads FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.tree_tiles FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY account_granted ON public.users FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])))
CREATE POLICY every_account ON public.accounts FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.analyst_accounts FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.courses FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.enrollments FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.event_content FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.events FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.id_counters FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.identities FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.key_rotations FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.log_heads FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.log_origins FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.projection_checkpoints FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.tokens FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.tree_heads FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.tree_tiles FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
CREATE POLICY every_account ON public.users FOR SELECT TO colloquy_auditor, colloquy_worker USING (true)
GRANT EXECUTE ON FUNCTION public.admit_user_v1(account bigint, user_id bigint) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.advance_projection_v1(name text, generation integer, account bigint, step bigint) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.append_events_v1(account bigint, streams text[], expected bigint[], items integer[], offsets bigint[], event_ids uuid[], data jsonb[], metadata jsonb[], subjects bigint[], salts bytea[], contents text[], types text[], OUT head bigint, OUT recorded_at timestamp with time zone, OUT currents bigint[], OUT accepted boolean[]) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.append_events_v2(account bigint, streams text[], expected bigint[], guards jsonb[], items integer[], offsets bigint[], event_ids uuid[], data jsonb[], metadata jsonb[], subjects bigint[], salts bytea[], contents text[], types text[], OUT head bigint, OUT recorded_at timestamp with time zone, OUT currents bigint[], OUT refusals text[]) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.current_account_v1() TO colloquy_analyst
GRANT EXECUTE ON FUNCTION public.current_account_v1() TO colloquy_auditor
GRANT EXECUTE ON FUNCTION public.current_account_v1() TO colloquy_projector
GRANT EXECUTE ON FUNCTION public.current_account_v1() TO colloquy_service
GRANT EXECUTE ON FUNCTION public.current_account_v1() TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.end_analysts_v1(age interval) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.erase_learner_v1(account bigint, learner bigint, reason text, metadata jsonb, OUT outcome text, OUT holds bigint[], OUT texts bigint, OUT conversations bigint, OUT names bigint, OUT identities bigint, OUT tokens bigint) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.erase_learner_v2(account bigint, learner bigint, reason text, metadata jsonb, guard jsonb, OUT outcome text, OUT holds bigint[], OUT texts bigint, OUT conversations bigint, OUT names bigint, OUT identities bigint, OUT tokens bigint) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.event_line_v1(e events) TO colloquy_auditor
GRANT EXECUTE ON FUNCTION public.event_line_v1(e events) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.expire_texts_v1(account bigint, rules jsonb, metadata jsonb, OUT outcome text, OUT texts bigint, OUT conversations bigint, OUT held bigint[]) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.find_position_v1(account bigint, moment timestamp with time zone, inclusive boolean) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.find_request_v1(account bigint, user_id bigint, idempotency_key text) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.find_request_v2(account bigint, user_id bigint, idempotency_key text) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.find_token_account_v1(token_hash bytea) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.find_token_account_v2(token_hash bytea) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.get_access_v1(account bigint, token_hash bytea, named_user bigint, subject text, as_user bigint, course bigint, experience bigint) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.granted_accounts_v1() TO colloquy_analyst
GRANT EXECUTE ON FUNCTION public.granted_accounts_v1() TO colloquy_auditor
GRANT EXECUTE ON FUNCTION public.granted_accounts_v1() TO colloquy_service
GRANT EXECUTE ON FUNCTION public.hash_request_keys_v1(account bigint, metadata jsonb[]) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.leaf_hashes_v1(account bigint, after_position bigint, upto_position bigint) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.log_origin_v1(account bigint) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.next_id_v1(account bigint, kind text) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.record_key_rotation_v1(account bigint, size bigint, root bytea, note text) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.record_projection_error_v2(name text, generation integer, account bigint, message text) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.record_tree_head_v1(account bigint, size bigint, root bytea, note text, sealed_at timestamp with time zone) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.record_tree_head_v2(account bigint, size bigint, root bytea, note text, sealed_at timestamp with time zone) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.replay_conversation_v1(account bigint, conversation bigint, upto bigint) TO colloquy_service
GRANT EXECUTE ON FUNCTION public.store_tiles_v1(account bigint, levels integer[], indexes bigint[], hashes bytea[]) TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.try_writing_v1() TO colloquy_worker
GRANT EXECUTE ON FUNCTION public.visible_accounts_v1() TO colloquy_analyst
GRANT EXECUTE ON FUNCTION public.visible_accounts_v1() TO colloquy_auditor
GRANT EXECUTE ON FUNCTION public.visible_accounts_v1() TO colloquy_service
GRANT SELECT ON analytics.conversation_facts TO colloquy_analyst
GRANT SELECT ON analytics.conversation_facts TO colloquy_auditor
GRANT SELECT ON analytics.conversation_facts TO colloquy_service
GRANT SELECT ON analytics.conversation_facts_v1 TO colloquy_analyst
GRANT SELECT ON analytics.conversation_facts_v1 TO colloquy_auditor
GRANT SELECT ON analytics.conversation_facts_v1 TO colloquy_service
GRANT SELECT ON analytics.daily_course_activity TO colloquy_analyst
GRANT SELECT ON analytics.daily_course_activity TO colloquy_auditor
GRANT SELECT ON analytics.daily_course_activity TO colloquy_service
GRANT SELECT ON analytics.daily_course_activity_v1 TO colloquy_analyst
GRANT SELECT ON analytics.daily_course_activity_v1 TO colloquy_auditor
GRANT SELECT ON analytics.daily_course_activity_v1 TO colloquy_service
GRANT SELECT ON analytics.evaluation_facts TO colloquy_analyst
GRANT SELECT ON analytics.evaluation_facts TO colloquy_auditor
GRANT SELECT ON analytics.evaluation_facts TO colloquy_service
GRANT SELECT ON analytics.evaluation_facts_v1 TO colloquy_analyst
GRANT SELECT ON analytics.evaluation_facts_v1 TO colloquy_auditor
GRANT SELECT ON analytics.evaluation_facts_v1 TO colloquy_service
GRANT SELECT ON analytics.experience_funnel TO colloquy_analyst
GRANT SELECT ON analytics.experience_funnel TO colloquy_auditor
GRANT SELECT ON analytics.experience_funnel TO colloquy_service
GRANT SELECT ON analytics.experience_funnel_v1 TO colloquy_analyst
GRANT SELECT ON analytics.experience_funnel_v1 TO colloquy_auditor
GRANT SELECT ON analytics.experience_funnel_v1 TO colloquy_service
GRANT SELECT ON analytics.feedback_facts TO colloquy_analyst
GRANT SELECT ON analytics.feedback_facts TO colloquy_auditor
GRANT SELECT ON analytics.feedback_facts TO colloquy_service
GRANT SELECT ON analytics.feedback_facts_v1 TO colloquy_analyst
GRANT SELECT ON analytics.feedback_facts_v1 TO colloquy_auditor
GRANT SELECT ON analytics.feedback_facts_v1 TO colloquy_service
GRANT SELECT ON analytics.freshness TO colloquy_analyst
GRANT SELECT ON analytics.freshness TO colloquy_auditor
GRANT SELECT ON analytics.freshness TO colloquy_service
GRANT SELECT ON analytics.model_daily_cost TO colloquy_analyst
GRANT SELECT ON analytics.model_daily_cost TO colloquy_auditor
GRANT SELECT ON analytics.model_daily_cost TO colloquy_service
GRANT SELECT ON analytics.model_daily_cost_v1 TO colloquy_analyst
GRANT SELECT ON analytics.model_daily_cost_v1 TO colloquy_auditor
GRANT SELECT ON analytics.model_daily_cost_v1 TO colloquy_service
GRANT SELECT ON analytics.objective_facts TO colloquy_analyst
GRANT SELECT ON analytics.objective_facts TO colloquy_auditor
GRANT SELECT ON analytics.objective_facts TO colloquy_service
GRANT SELECT ON analytics.objective_facts_v1 TO colloquy_analyst
GRANT SELECT ON analytics.objective_facts_v1 TO colloquy_auditor
GRANT SELECT ON analytics.objective_facts_v1 TO colloquy_service
GRANT SELECT ON analytics.turn_facts TO colloquy_analyst
GRANT SELECT ON analytics.turn_facts TO colloquy_auditor
GRANT SELECT ON analytics.turn_facts TO colloquy_service
GRANT SELECT ON analytics.turn_facts_v1 TO colloquy_analyst
GRANT SELECT ON analytics.turn_facts_v1 TO colloquy_auditor
GRANT SELECT ON analytics.turn_facts_v1 TO colloquy_service
GRANT SELECT ON public.accounts TO colloquy_auditor
GRANT SELECT ON public.accounts TO colloquy_worker
GRANT SELECT ON public.courses TO colloquy_service
GRANT SELECT ON public.enrollments TO colloquy_service
GRANT SELECT ON public.event_content TO colloquy_auditor
GRANT SELECT ON public.event_content TO colloquy_service
GRANT SELECT ON public.events TO colloquy_auditor
GRANT SELECT ON public.events TO colloquy_projector
GRANT SELECT ON public.events TO colloquy_service
GRANT SELECT ON public.identities TO colloquy_service
GRANT SELECT ON public.key_rotations TO colloquy_auditor
GRANT SELECT ON public.key_rotations TO colloquy_service
GRANT SELECT ON public.key_rotations TO colloquy_worker
GRANT SELECT ON public.letter_channel TO colloquy_service
GRANT SELECT ON public.log_heads TO colloquy_auditor
GRANT SELECT ON public.log_heads TO colloquy_service
GRANT SELECT ON public.log_heads TO colloquy_worker
GRANT SELECT ON public.log_origins TO colloquy_auditor
GRANT SELECT ON public.log_origins TO colloquy_service
GRANT SELECT ON public.log_origins TO colloquy_worker
GRANT SELECT ON public.projection_checkpoints TO colloquy_auditor
GRANT SELECT ON public.projection_checkpoints TO colloquy_worker
GRANT SELECT ON public.projection_pauses TO colloquy_auditor
GRANT SELECT ON public.projection_pauses TO colloquy_worker
GRANT SELECT ON public.projection_positions TO colloquy_worker
GRANT SELECT ON public.projections TO colloquy_auditor
GRANT SELECT ON public.projections TO colloquy_worker
GRANT SELECT ON public.recorded_events TO colloquy_auditor
GRANT SELECT ON public.recorded_events TO colloquy_service
GRANT SELECT ON public.tokens TO colloquy_service
GRANT SELECT ON public.tree_heads TO colloquy_auditor
GRANT SELECT ON public.tree_heads TO colloquy_service
GRANT SELECT ON public.tree_heads TO colloquy_worker
GRANT SELECT ON public.tree_tiles TO colloquy_auditor
GRANT SELECT ON public.tree_tiles TO colloquy_service
GRANT SELECT ON public.tree_tiles TO colloquy_worker
GRANT SELECT ON public.users TO colloquy_service
GRANT SELECT ON read.active_conversations TO colloquy_auditor
GRANT SELECT ON read.active_conversations TO colloquy_service
GRANT SELECT ON read.conversation_messages TO colloquy_auditor
GRANT SELECT ON read.conversation_messages TO colloquy_service
GRANT SELECT ON read.conversations TO colloquy_auditor
GRANT SELECT ON read.conversations TO colloquy_service
GRANT SELECT ON read.evaluations TO colloquy_auditor
GRANT SELECT ON read.evaluations TO colloquy_service
GRANT SELECT ON read.experiences TO colloquy_auditor
GRANT SELECT ON read.experiences TO colloquy_service
GRANT SELECT ON read.legal_holds TO colloquy_auditor
GRANT SELECT ON read.legal_holds TO colloquy_service
GRANT SELECT ON read.message_feedback TO colloquy_auditor
GRANT SELECT ON read.message_feedback TO colloquy_service
GRANT SELECT ON read.pending_turns TO colloquy_auditor
GRANT SELECT ON read.pending_turns TO colloquy_service
GRANT SELECT ON read.pending_turns TO colloquy_worker
GRANT SELECT ON read.request_counts TO colloquy_auditor
GRANT SELECT ON read.request_counts TO colloquy_service
GRANT SELECT ON read.retention_rules TO colloquy_auditor
GRANT SELECT ON read.retention_rules TO colloquy_service
GRANT SELECT ON read.retention_rules TO colloquy_worker
GRANT USAGE ON SCHEMA analytics TO colloquy_analyst
GRANT USAGE ON SCHEMA analytics TO colloquy_auditor
GRANT USAGE ON SCHEMA analytics TO colloquy_service
GRANT USAGE ON SCHEMA public TO colloquy_projector
GRANT USAGE ON SCHEMA read TO colloquy_analyst
GRANT USAGE ON SCHEMA read TO colloquy_auditor
GRANT USAGE ON SCHEMA read TO colloquy_service
GRANT USAGE ON SCHEMA read TO colloquy_worker
REVOKE EXECUTE ON FUNCTION public.admit_user_v1(account bigint, user_id bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.advance_projection_v1(name text, generation integer, account bigint, step bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.analyze_generation_v1(name text, generation integer) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.append_events_v1(account bigint, streams text[], expected bigint[], items integer[], offsets bigint[], event_ids uuid[], data jsonb[], metadata jsonb[], subjects bigint[], salts bytea[], contents text[], types text[], OUT head bigint, OUT recorded_at timestamp with time zone, OUT currents bigint[], OUT accepted boolean[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.append_events_v2(account bigint, streams text[], expected bigint[], guards jsonb[], items integer[], offsets bigint[], event_ids uuid[], data jsonb[], metadata jsonb[], subjects bigint[], salts bytea[], contents text[], types text[], OUT head bigint, OUT recorded_at timestamp with time zone, OUT currents bigint[], OUT refusals text[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.append_facts_v1(account bigint, streams text[], facts jsonb[], metadata jsonb) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.apply_inline_projections(account bigint, after_position bigint, upto_position bigint, types text[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.apply_range_v1(projection projections, account bigint, after_position bigint, upto_position bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.build_range_v1(name text, generation integer, account bigint, after_position bigint, upto_position bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.check_erasure_v1(account bigint, learner bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.check_guards_v1(account bigint, guards jsonb[], refusals text[], today date) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.clear_rebuilds_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.close_analyst_v1(role_name name) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.close_doors_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.close_functions_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.close_locks_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.common_columns_v1(old_table regclass, new_table regclass) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.compare_generations_v1(name text, old_generation integer, new_generation integer, most integer) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.create_analyst_v1(role_name name, verifier text, days integer, connections integer) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.create_generation_v1(name text, version integer, digest bytea, mode text, description text, tables text[], consumes text[], readers text[], definition text, statements text[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.create_generation_v3(name text, version integer, digest bytea, mode text, description text, tables text[], consumes text[], readers text[], definition text, statements text[], stable_schema text, interface integer, confined boolean) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.current_account_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.define_confined_v1(target_schema text, definition text, statements text[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.drop_analyst_v1(role_name name) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.drop_generation_v1(name text, generation integer) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.drop_projection_v1(name text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.drop_views_v1(name text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.end_analysts_v1(age interval) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.erase_learner_v1(account bigint, learner bigint, reason text, metadata jsonb, OUT outcome text, OUT holds bigint[], OUT texts bigint, OUT conversations bigint, OUT names bigint, OUT identities bigint, OUT tokens bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.erase_learner_v2(account bigint, learner bigint, reason text, metadata jsonb, guard jsonb, OUT outcome text, OUT holds bigint[], OUT texts bigint, OUT conversations bigint, OUT names bigint, OUT identities bigint, OUT tokens bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.event_line_v1(e events) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.expire_texts_v1(account bigint, rules jsonb, metadata jsonb, OUT outcome text, OUT texts bigint, OUT conversations bigint, OUT held bigint[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.find_change_v1(account bigint, guard jsonb) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.find_position_v1(account bigint, moment timestamp with time zone, inclusive boolean) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.find_request_v1(account bigint, user_id bigint, idempotency_key text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.find_request_v2(account bigint, user_id bigint, idempotency_key text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.find_token_account_v1(token_hash bytea) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.find_token_account_v2(token_hash bytea) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.fingerprint_generation_v1(name text, generation integer, account bigint, upto_position bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.get_access_v1(account bigint, token_hash bytea, named_user bigint, subject text, as_user bigint, course bigint, experience bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.granted_accounts_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.guard_generation_v1(name text, generation integer) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.guard_statement_v1(statement text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.guard_table_v1(guarded regclass) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.hash_request_key_v1(inner_key bytea, outer_key bytea, key text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.hash_request_keys_v1(account bigint, metadata jsonb[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.is_removal_recorded_v1(account bigint, text_position bigint, subject bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.keep_statistics_v1(target_schema text, kept boolean) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.leaf_hashes_v1(account bigint, after_position bigint, upto_position bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.limit_spilling_v1(login name) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.log_origin_v1(account bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.next_id_v1(account bigint, kind text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.open_holds_v1(account bigint, learner bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.pad_secret_v1(secret bytea, pad integer) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.pass_ranges_v1(name text, generation integer, account bigint, upto_position bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.plan_range_v1(projection projections, positions bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.publish_generation_v1(name text, generation integer) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.record_expiry_v1(account bigint, doomed bigint[], rules jsonb, metadata jsonb) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.record_key_rotation_v1(account bigint, size bigint, root bytea, note text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.record_projection_error_v2(name text, generation integer, account bigint, message text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.record_tree_head_v1(account bigint, size bigint, root bytea, note text, sealed_at timestamp with time zone) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.record_tree_head_v2(account bigint, size bigint, root bytea, note text, sealed_at timestamp with time zone) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.refuse_change_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.refuse_shrinking_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.refuse_unrecorded_removal_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.replay_conversation_v1(account bigint, conversation bigint, upto bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.rewrite_inline_dispatch_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.run_confined_v1(target_schema text, statements text) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.show_table_v1(source regclass, stable_schema text, view_name text, description text, readers text[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.stable_views_v1(name text, generation integer) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.store_tiles_v1(account bigint, levels integer[], indexes bigint[], hashes bytea[]) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.try_range_v1(name text, generation integer, account bigint, after_position bigint, upto_position bigint) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.try_writing_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.validate_constraint_v1(constrained regclass, name name) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.visible_accounts_v1() FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.watch_analyst_v1(role_name name) FROM PUBLIC
REVOKE EXECUTE ON FUNCTION public.whole_number_v1(told jsonb) FROM PUBLIC
