"""Would the tests notice? Small changes to the lines that hold money, rights, proof and access (`make mutants`)."""
