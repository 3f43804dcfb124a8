"""Makes compiled pipelines that cannot be used import errors of Airflow. Here are no DAGs: it would take them off their schedules."""

from tfx_retail.airflow import refuse_broken

refuse_broken()
