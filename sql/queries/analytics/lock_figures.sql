LOCK TABLE analytics.conversation_facts, analytics.turn_facts, analytics.objective_facts,
           analytics.feedback_facts, analytics.daily_course_activity, analytics.model_daily_cost
        IN ACCESS SHARE MODE
