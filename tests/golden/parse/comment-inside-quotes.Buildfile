FROM a
RUN echo "a \
# gone
 b # kept"
