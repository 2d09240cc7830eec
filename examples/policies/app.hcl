# What the billing service may do: its own secrets, and tokens for its workers that live for an hour at most.
path "secret/data/billing/*" {
  capabilities = ["create", "read", "update"]
}

path "secret/metadata/billing/*" {
  capabilities = ["list"]
}

# The keys of the payment provider are out of reach, although they lie below billing/.
path "secret/data/billing/provider/*" {
  capabilities = ["deny"]
}

path "auth/token/create" {
  capabilities         = ["update"]
  required_parameters  = ["ttl"]
  allowed_parameters   = {
    "ttl"      = ["15m", "1h"]
    "policies" = ["billing-worker-*"]
    "meta"     = []
  }
}

# Each person has a folder of their own.
path "secret/data/people/{{identity.entity.name}}/*" {
  capabilities = ["create", "read", "update", "delete"]
}
