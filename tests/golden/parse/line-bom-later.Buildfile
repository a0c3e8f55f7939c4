FROM a
RUN ﻿b
