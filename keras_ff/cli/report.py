"""`keras-ff report`: one page about a run or a preset."""


def report(run_or_preset, out=None, data_dir=None):
    """Write the page and say where it is."""
    from keras_ff import report

    print(f"Report: {report.write(run_or_preset, out, data_dir)}")
