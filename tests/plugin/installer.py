# SPDX-License-Identifier: MIT
"""An installer as docs/contract.md's wizard section knows it: finds the plugin by the manifest, shows its page between
others and its part of the summary, and runs its last steps."""

import importlib
import json

try:
    import flask
except ImportError:
    flask = None


def load(manifest_path):
    """(manifest, module) as the installer finds them: it bears a broken manifest and a failed import, nothing else."""
    try:
        manifest = json.loads(manifest_path.read_text())
        return manifest, importlib.import_module(manifest["setup"]["wizard_module"])
    except (json.JSONDecodeError, ImportError):
        return None, None


def make(manifest, module):
    app = flask.Flask("installer", template_folder=__file__.removesuffix("installer.py") + "templates")
    app.secret_key = "of the tests"
    steps = [{"id": "wallet", "label": "Wallet", "endpoint": "wizard_wallet"},
             {"id": manifest["name"], "label": manifest["display_name"].split()[0],
              "endpoint": f"provisioner_{manifest['name']}.wizard_{manifest['name']}"},
             {"id": "connectivity", "label": "Connectivity", "endpoint": "wizard_connectivity"},
             {"id": "summary", "label": "Summary", "endpoint": "wizard_summary"}]

    def wizard_nav(here):
        at = [each["id"] for each in steps].index(here)
        return {"prev": steps[at - 1]["endpoint"] if at else None,
                "next": steps[at + 1]["endpoint"] if at + 1 < len(steps) else None}

    app.jinja_env.globals["wizard_steps"] = steps
    app.register_blueprint(module.blueprint)

    @app.context_processor
    def for_templates():
        return {"wizard_nav": wizard_nav, "accent": manifest["accent_color"],
                "prov_ui": module.get_ui_params(dict(flask.session))}

    @app.route("/login", methods=["GET", "POST"])
    def login():
        if flask.request.method == "POST":
            flask.session["authenticated"] = True
            return flask.redirect(flask.url_for("wizard_wallet"))
        return flask.render_template("plain.html", title="Log in", step="")

    def page(step, title, onward):
        def show():
            if not flask.session.get("authenticated"):
                return flask.redirect(flask.url_for("login"))
            if flask.request.method == "POST":
                return flask.redirect(flask.url_for(onward))
            return flask.render_template("plain.html", title=title, step=step)
        app.add_url_rule(f"/wizard/{step}", f"wizard_{step}", show, methods=["GET", "POST"])

    page("wallet", "Wallet", steps[1]["endpoint"])
    page("connectivity", "Connectivity", "wizard_summary")

    @app.route("/wizard/summary")
    def wizard_summary():
        return flask.render_template(
            "plain.html", title="Summary", step="summary", summary_template=module.get_summary_template(),
            provisioner_summary=module.get_summary_data(dict(flask.session)))

    return app


def finish(module, config, done=()):
    """Runs the last steps in order, those in `done` left out; the persisted copy of `config`, and (id, error) of the one
    that failed or None."""
    for name, _label, function, *_hint in module.get_finalization_steps():
        if name in done:
            continue
        good, error = function(config)
        config = json.loads(json.dumps(config))
        if not good:
            return config, (name, error)
    return config, None
