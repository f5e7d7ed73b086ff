"""Network-in-Network and the networks it is compared with: dials, layers, costs (no torch), and the torch modules.

Import from the modules; this file re-exports nothing, so that the modules without torch load without it. Read in this
order: `config` (the dials), `presets` (named networks), `blocks` and `heads` (their parts), `architecture` (dials ->
layers), then `complexity` (layers -> counts) and `model` (layers -> torch).
"""
