"""What lies behind the Freight: Stages, Promotions, verification and soak (discovery.md 8).

Read in this order: `values`, `soak`, `availability`, `policies`, `candidates`, `promotions` and `tasks` say
what is the case; `passes` puts them together into one pass over a Stage, values in and values out;
`controller` drives passes and Promotions on the Lab's clock; `steps` is what a Promotion can do.
"""
