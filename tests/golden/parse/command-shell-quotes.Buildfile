FROM a
RUN echo 'it'\''s' "\"x\"" `date` $(id -u) ${A:-"b c"}
