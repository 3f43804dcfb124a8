"""The smallest configuration that is one: a shop with VOC photos beside its catalogue."""

CONFIG = """
name: shop
root: out
catalog: {path: catalog.csv}
data: {path: photos, format: voc}
serving: {dir: models}
verdict: {rules: [{metric: sku_accuracy, at_least: 0.8}]}
"""
