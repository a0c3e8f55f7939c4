FROM ä/ö
RUN echo "дом" 家
ENV KÄ=ü LABEL=日本
