"""The smallest configurations that are one: a shop with VOC photos beside its catalogue, and one with a folder for each product."""

CONFIG = """
name: shop
root: out
catalog: {path: catalog.csv}
data: {path: photos, format: voc}
serving: {dir: models}
verdict: {rules: [{metric: sku_accuracy, at_least: 0.8}]}
"""
FOLDERS = CONFIG.replace("voc", "image_folder")
