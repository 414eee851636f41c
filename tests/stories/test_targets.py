def test_x(looks):
    import time
    t=time.monotonic()
    d = looks.cli("plan")
    print(time.monotonic()-t, d)
    d = looks.cli("plan", "--to","5.3.1")
    print(d, d.error)
    d = looks.cli("releases")
    print(d.out)
    print(looks.state())
def test_y(scene):
    d = scene.cli("run","--yes")
    print(d.code); print(d.out); print(d.err)
    scene.finished_well()
def test_z(looks):
    d = looks.cli()
    print(d.code); print(d.out); print(d.err)
