FROM a
CMD ["aÿb"]
RUN Ã( x
ENV A=í €
