"""Pipelines as DAGs of Airflow 2.11 and 3: nothing here loads TFX, TensorFlow or Beam; tasks call the environment that does."""

from tfx_retail.airflow.dag import dag
from tfx_retail.airflow.folder import dags_in, refuse_broken
from tfx_retail.airflow.host import Host
from tfx_retail.airflow.watch import watch

__all__ = ["Host", "dag", "dags_in", "refuse_broken", "watch"]
