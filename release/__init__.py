"""What is handed out: wheel, source archive, Debian packages, their bills of materials and checksums (`make deb`)."""
