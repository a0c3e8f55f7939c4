#!/usr/bin/env cbuild
# syntax=docker/dockerfile:1
# escape=`
FROM a
RUN b \
 c
