"""The tariff playground: a region document judged while it is written, its riders played, two versions compared."""
